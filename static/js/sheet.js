// What floats over the timeline: one sheet of detail, and short notices. Built from nodes, never from HTML text.

/** element("p", { class: "second" }, "text", node, …); null children are left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Opens the sheet with a heading and what stands beneath; `closed` is called once when it goes. */
export function openSheet(sheet, words, heading, children, closed = () => {}) {
  const close = element("button", { type: "button", class: "button quiet", onclick: () => sheet.close() }, words.close);
  sheet.replaceChildren(element(
    "div", { class: "sheet-body" },
    element("div", { class: "sheet-head" }, element("h2", { id: "sheet-title" }, heading), close),
    ...children,
  ));
  sheet.addEventListener("close", closed, { once: true });
  sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
  sheet.showModal();
}

/** A list of facts: [[term, description or node], …]. */
export function facts(rows) {
  return element("dl", { class: "facts" }, ...rows.flatMap(([term, said]) => [
    element("dt", {}, term), element("dd", {}, said),
  ]));
}

/** What stands in the way, all of it; replaces what stood there before. */
export function showProblems(sheet, refusal, sayConflict) {
  sheet.querySelector(".problems")?.remove();
  const lines = [
    ...refusal.problems.map((problem) => problem.message),
    ...refusal.conflicts.map(sayConflict),
  ];
  const box = element(
    "div", { class: "problems", role: "alert", tabindex: "-1" },
    element("ul", {}, ...(lines.length ? lines : [refusal.message]).map((line) => element("li", {}, element("span", {}, line)))),
  );
  sheet.querySelector(".sheet-head").after(box);
  box.focus();
}

/** A notice that goes by itself, with one thing to do where there is one. */
export function notify(text, action = null, seconds = 12) {
  const toast = element("div", { class: "toast" }, element("p", {}, text));
  if (action) {
    toast.append(element("button", {
      type: "button", class: "button small", onclick: () => { toast.remove(); action.run(); },
    }, action.label));
  }
  document.getElementById("toasts").append(toast);
  setTimeout(() => toast.remove(), seconds * 1000);
}
