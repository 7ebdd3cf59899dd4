// Label texts in this browser. The library, and the model at one commit, are loaded for the first answer.
const LIBRARY = "https://cdn.jsdelivr.net/npm/@huggingface/transformers@4.3.2/dist/transformers.min.js";
const settings = JSON.parse(document.getElementById("settings").textContent);
const [form] = document.forms;
const part = (id) => document.getElementById(id);
let loaded; // a promise of the tokenizer and the model
let scored; // the last answer

async function load() {
  const { AutoModelForSequenceClassification, AutoTokenizer, env } = await import(LIBRARY);
  env.allowLocalModels = false;
  env.remoteHost = settings.endpoint;
  const sizes = new Map();
  const show = ({ status, file, loaded: bytes }) => {
    if (status !== "progress" || !file.endsWith(".onnx")) return;
    sizes.set(file, bytes);
    part("progress").value = Math.min(1, [...sizes.values()].reduce((sum, size) => sum + size, 0) / settings.bytes);
  };
  const options = { revision: settings.revision, dtype: settings.dtype, progress_callback: show };
  return Promise.all([
    AutoTokenizer.from_pretrained(settings.model, options),
    AutoModelForSequenceClassification.from_pretrained(settings.model, options),
  ]);
}

// The library cuts off the end of a long text with its last special token, which the model was trained with.
function encode(tokenizer, text) {
  const inputs = tokenizer(text, { truncation: true });
  const ids = inputs.input_ids.data;
  const last = tokenizer(text).input_ids.data.at(-1);
  if (tokenizer.all_special_ids.includes(Number(last))) ids[ids.length - 1] = last;
  return inputs;
}

async function score(text) {
  const [tokenizer, model] = await loaded;
  const { logits } = await model(encode(tokenizer, text));
  const scaled = Array.from(logits.data, (logit) => logit / settings.temperature);
  const powers = scaled.map((logit) => Math.exp(logit - Math.max(...scaled)));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power, position) => ({ label: model.config.id2label[position], score: power / sum }));
}

function add(parent, tag, text = "", kind = "") {
  const element = parent.appendChild(document.createElement(tag));
  element.textContent = text;
  element.className = kind;
  return element;
}

function showAnswer() {
  if (!scored) return;
  const percent = (share) => `${(100 * share).toFixed(1)}%`;
  const best = scored.scores.reduce((one, other) => (other.score > one.score ? other : one));
  const abstains = part("abstain")?.checked && best.score < settings.neutral_below;
  part("labeled").textContent = scored.text;
  part("label").textContent = abstains ? "neutral" : best.label;
  part("confidence").textContent = abstains ? "not sure enough" : percent(best.score);
  part("answer").dataset.score = abstains ? "" : best.score;
  part("scores").replaceChildren();
  for (const { label, score: share } of scored.scores) {
    add(part("scores"), "dt", label);
    add(add(part("scores"), "dd", "", `bar ${label}`), "div").style.width = percent(share);
    add(part("scores"), "dd", percent(share));
  }
  part("answer").hidden = false;
}

async function answer(event) {
  event.preventDefault();
  const text = part("text").value;
  const button = form.querySelector("[type=submit]");
  if (button.disabled) return;
  if (!text.trim()) {
    part("state").textContent = "Type a tweet first.";
    return;
  }
  button.disabled = true;
  part("state").textContent = loaded ? "" : "Loading the model…";
  part("progress").hidden = Boolean(loaded);
  try {
    loaded ??= load();
    scored = { text, scores: await score(text) };
    part("state").textContent = "";
    showAnswer();
  } catch (error) {
    loaded = undefined;
    part("state").textContent = `The model could not be loaded or run (${error.message}). Try again, or reload the page.`;
  }
  part("progress").hidden = true;
  button.disabled = false;
}

form.addEventListener("submit", answer);
part("abstain")?.addEventListener("change", showAnswer);
part("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) answer(event);
});
for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", (event) => {
    part("text").value = example.textContent;
    answer(event);
  });
}
