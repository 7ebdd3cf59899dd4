// Label the texts on stdin: node transformers_js.mjs FOLDER|HUB NAME; prints ids, labels and scores as JSON.
import { env, pipeline } from "@huggingface/transformers";
import { readFileSync } from "node:fs";

const place = `${process.argv[2]}/`;
env.allowRemoteModels = place.startsWith("http");
env.allowLocalModels = !env.allowRemoteModels;
env.localModelPath = env.remoteHost = place;
const texts = JSON.parse(readFileSync(0, "utf8"));
const answers = {};
for (const dtype of ["fp32", "q8"]) {
  const classify = await pipeline("text-classification", process.argv[3], { dtype });
  answers[dtype] = [];
  for (const text of texts) {
    const ids = Array.from((await classify.tokenizer(text)).input_ids.data, Number);
    const [{ label, score }] = await classify(text);
    answers[dtype].push({ ids, label, score });
  }
}
console.log(JSON.stringify(answers));
