"use strict";
// Sorting by the heads of tables; searching and filtering the errors. Without this the page is whole, in its first order.

const compareTexts = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" }).compare;

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const valueAt = (row, at) => row.cells[at].dataset.value ?? row.cells[at].textContent;

  function sort(at) {
    const number = heads[at].dataset.kind === "number";
    const before = heads[at].getAttribute("aria-sort");
    const ascending = before ? before === "descending" : !number;
    const compare = number ? (one, other) => one - other : compareTexts;
    const rows = [...body.rows].map((row) => [valueAt(row, at), row]);
    rows.sort(([one], [other]) => (ascending ? compare(one, other) : compare(other, one)));
    body.append(...rows.map(([, row]) => row));
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[at].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }

  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(at));
    head.append(button);
  });
}

function searchable(form, table, nothing) {
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const rows = [...table.tBodies[0].rows].map((row) => [row, fold(row.textContent)]);
  const search = form.querySelector("[type=search]");

  function show() {
    const words = fold(search.value).split(/\s+/).filter(Boolean);
    const { split, label } = Object.fromEntries(new FormData(form));
    let shown = 0;
    for (const [row, text] of rows) {
      const fits = (!split || row.dataset.split === split) && (!label || row.dataset.label === label);
      row.hidden = !(fits && words.every((word) => text.includes(word)));
      shown += !row.hidden;
    }
    form.querySelector("output").textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
    nothing.hidden = shown > 0;
  }

  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
}

document.querySelectorAll("table.sortable").forEach(sortable);
const controls = document.querySelector(".controls");
if (controls) searchable(controls, document.querySelector("table.errors"), document.querySelector(".nothing"));
