// Classifies texts with a local model as a web page or a Node server would: transformers.js' pipeline.
// Standard input: {"folder", "dtypes", "texts", "strings"}; standard output: {"scores", "ids"} as JSON.
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { AutoTokenizer, env, pipeline } from "@huggingface/transformers";

const { folder, dtypes, texts, strings } = JSON.parse(readFileSync(0, "utf8"));
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const model = basename(folder);

const scores = {};
for (const dtype of dtypes) {
  const classify = await pipeline("text-classification", model, { dtype });
  scores[dtype] = [];
  for (const text of texts) scores[dtype].push(await classify(text, { top_k: null }));
  await classify.dispose();
}
const tokenizer = await AutoTokenizer.from_pretrained(model);
const ids = strings.map((text) => tokenizer.encode(text));
console.log(JSON.stringify({ scores, ids }));
