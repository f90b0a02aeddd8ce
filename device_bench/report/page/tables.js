// Sorts a table by the column whose heading is pressed; cells without a number stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numeric = head.dataset.numeric === "1";
    const key = (row) => numeric ? parseFloat(row.cells[column].dataset.value) : row.cells[column].textContent;
    const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (!numeric) return up ? a.localeCompare(b) : b.localeCompare(a);
      if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
      return up ? a - b : b - a;
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }));
}
