// Answers questions with a local model: transformers.js' pipeline.
// Standard input: {"folder", "dtypes", "asked": [[question, context], ...]}; standard output: {dtype: answers}.
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const { folder, dtypes, asked } = JSON.parse(readFileSync(0, "utf8"));
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);

const found = {};
for (const dtype of dtypes) {
  const answer = await pipeline("question-answering", basename(folder), { dtype });
  found[dtype] = [];
  for (const [question, context] of asked) found[dtype].push(await answer(question, context));
  await answer.dispose();
}
console.log(JSON.stringify(found));
