// Asks a local model by one of transformers.js' pipelines.
// Standard input: {"folder", "task", "dtypes", "asked": [[argument, ...], ...]}; standard output: {dtype: answers}.
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const { folder, task, dtypes, asked } = JSON.parse(readFileSync(0, "utf8"));
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);

const found = {};
for (const dtype of dtypes) {
  const ask = await pipeline(task, basename(folder), { dtype });
  found[dtype] = [];
  for (const own of asked) {
    const said = await ask(...own);
    found[dtype].push(said.tolist?.() ?? said); // a tensor of vectors
  }
  await ask.dispose();
}
console.log(JSON.stringify(found));
