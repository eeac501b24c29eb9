"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 25;

  // Every text becomes a text node: nothing that a model wrote is ever parsed as markup.
  const element = (tag, className, ...children) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...children.filter((child) => child !== null));
    return node;
  };
  const text = (tag, content, className = "text") => {
    const node = element(tag, className, content === null || content === "" ? "(empty)" : String(content));
    node.dir = "auto";
    return node;
  };
  const words = (reason) => reason.replaceAll("_", " ");
  const percent = (value) => (100 * value).toFixed(1);
  const counts = (values) => {
    const found = new Map();
    for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
    return [...found.entries()];
  };
  const options = (select, entries, all) => {
    const rows = all === null ? entries : [["", all], ...entries];
    for (const [value, shown] of rows) select.append(new Option(shown, value));
    if (entries.length < 2 && all !== null) select.closest("label").hidden = true;
  };

  const list = (name, rows, matches, draw) => {
    const form = document.querySelector(`form[data-list="${name}"]`);
    const target = document.getElementById(`${name}-list`);
    const pager = document.getElementById(`${name}-pager`);
    let page = 0;
    const show = () => {
      const values = Object.fromEntries(new FormData(form));
      values.text = values.text.trim().toLocaleLowerCase();
      const found = rows.filter((row) => matches(row, values));
      page = Math.max(0, Math.min(page, Math.ceil(found.length / PAGE) - 1));
      const start = page * PAGE;
      form.querySelector("output").textContent = `${found.length} of ${rows.length}`;
      target.replaceChildren(...found.slice(start, start + PAGE).map(draw));
      pager.replaceChildren();
      if (found.length <= PAGE) return;
      const turn = (label, step, possible) => {
        const button = element("button", "", label);
        button.type = "button";
        button.disabled = !possible;
        button.addEventListener("click", () => { page += step; show(); form.scrollIntoView(); });
        return button;
      };
      pager.append(
        turn("Previous", -1, page > 0),
        `${start + 1}–${Math.min(start + PAGE, found.length)}`,
        turn("Next", 1, start + PAGE < found.length),
      );
    };
    form.addEventListener("input", () => { page = 0; show(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    show();
  };

  const has = (fields, wanted) => !wanted || fields.some((field) => field !== null && field.toLocaleLowerCase().includes(wanted));

  const drawCandidate = (row) => {
    const head = element("h4", "",
      element("span", "tag", row.d === null ? data.used : words(row.d)),
      element("span", "", `round ${row.r}`),
      row.l === null ? null : element("span", "", `written for: ${row.l}${row.w ? ` (${row.w} votes)` : ""}`),
      row.v === null ? null : element("span", "", `share of the samples ${row.v}`));
    const item = element("article", `item ${row.d === null ? "kept" : "dropped"}`, head, text("p", row.x));
    if (row.o !== null) item.append(element("dl", "", element("div", "", element("dt", "", row.v === null ? "output" : "elected output"), text("dd", row.o))));
    if (row.a.length) {
      const answers = row.a.map(([answer, count, why]) =>
        text("li", `${count}× ${answer === "" ? "(empty)" : answer}${why === null ? "" : ` — no vote: ${words(why)}`}`));
      item.append(element("details", "", element("summary", "", "sampled answers"), element("ul", "", ...answers)));
    }
    return item;
  };

  const KINDS = { differ: "base and tuned differ", better: "tuned better", worse: "tuned worse", errors: "tuned wrong", wording: "same score, other words", wrong: "same answer, wrong", same: "both right" };
  const kindMatches = (row, kind) =>
    kind === "" || row.k === kind ||
    (kind === "differ" && row.b !== row.t) ||
    (kind === "errors" && row.s[1] < 1);

  const drawCase = (row) => {
    const head = element("h4", "",
      element("span", "tag", KINDS[row.k]),
      element("span", "", `score ${percent(row.s[0])} → ${percent(row.s[1])}`),
      element("span", "", row.i));
    const pair = (name, content) => element("div", "", element("dt", "", name), text("dd", content));
    const item = element("article", `item ${row.k}`, head, text("p", row.x),
      element("dl", "", pair("reference", row.r.join("\n")), pair("base", row.b), pair("tuned", row.t)));
    const near = row.n.filter(([place]) => data.pairs[place]);
    if (near.length) {
      const rows = near.map(([place, similarity]) =>
        text("li", `${similarity.toFixed(2)}  ${data.pairs[place][0]} → ${data.pairs[place][1]}`));
      item.append(element("details", "near", element("summary", "", "nearest synthetic examples"), element("ul", "", ...rows)));
    }
    return item;
  };

  const candidates = () => {
    const form = document.querySelector('form[data-list="candidates"]');
    if (!form) return;
    const fates = counts(data.candidates.map((row) => row.d ?? "")).sort((a, b) => b[1] - a[1]);
    options(form.elements.fate, fates.map(([fate, count]) => [fate === "" ? "kept" : fate, `${fate === "" ? data.used : words(fate)} (${count})`]), "all");
    options(form.elements.label, counts(data.candidates.map((row) => row.l).filter((label) => label !== null)).map(([label]) => [label, label]), "all");
    options(form.elements.round, counts(data.candidates.map((row) => row.r)).map(([round]) => [round, round]), "all");
    list("candidates", data.candidates, (row, wanted) =>
      (wanted.fate === "" || (row.d ?? "kept") === wanted.fate) &&
      (wanted.label === "" || row.l === wanted.label) &&
      (wanted.round === "" || String(row.r) === wanted.round) &&
      has([row.x, row.o], wanted.text), drawCandidate);
  };

  const cases = () => {
    const form = document.querySelector('form[data-list="cases"]');
    if (!form) return;
    const kinds = Object.entries(KINDS)
      .map(([kind, name]) => [kind, name, data.cases.filter((row) => kindMatches(row, kind)).length])
      .filter(([, , count]) => count > 0)
      .map(([kind, name, count]) => [kind, `${name} (${count})`]);
    options(form.elements.kind, [...kinds, ["", `all (${data.cases.length})`]], null);
    const references = counts(data.cases.map((row) => row.r[0]));
    options(form.elements.reference, references.length <= 20 ? references.map(([r]) => [r, r]) : [], "all");
    list("cases", data.cases, (row, wanted) =>
      kindMatches(row, wanted.kind) &&
      (wanted.reference === "" || row.r[0] === wanted.reference) &&
      has([row.x, row.b, row.t, ...row.r], wanted.text), drawCase);
  };

  candidates();
  cases();
  const gold = document.getElementById("gold");
  if (gold && location.hash === "#evaluation-open") gold.open = true;
  document.documentElement.dataset.ready = "yes";
})();
