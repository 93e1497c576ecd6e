// Rows of needs come and go without asking the server, and what does not belong to a choice stands back.

const needs = document.querySelector("[data-needs]");
const template = document.querySelector("[data-need-template]");

const numbers = () =>
  [...needs.querySelectorAll("select[name$='-what']")].map((each) => Number(each.name.split("-")[1]));

// What a named piece cannot be asked for is kept out of the way, and comes back with the next choice.
function settle(row) {
  const named = row.querySelector("select").value.startsWith("equipment:");
  for (const each of row.querySelectorAll("[data-of-category]")) {
    const typed = [...each.querySelectorAll("input")].some((input) => input.value && input.value !== "1");
    each.hidden = named && !typed;
  }
  const whole = row.querySelector("input[type=checkbox]").checked;
  const places = row.querySelector("[data-of-places]");
  places.hidden = whole && places.querySelector("input").value === "1";
}

needs.addEventListener("change", (event) => settle(event.target.closest("[data-need]")));
needs.querySelectorAll("[data-need]").forEach(settle);

document.querySelector("[data-add]").addEventListener("click", (event) => {
  event.preventDefault();
  const next = Math.max(-1, ...numbers()) + 1;
  const holder = document.createElement("div");
  holder.append(template.content.cloneNode(true));
  for (const each of holder.querySelectorAll("[name]")) {
    each.name = each.name.replace("need-N-", `need-${next}-`);
    each.value = each.value.replace("remove-N", `remove-${next}`);
  }
  for (const each of holder.querySelectorAll("[aria-label]")) {
    each.setAttribute("aria-label", each.getAttribute("aria-label").replace("…", next + 1));
  }
  const legend = holder.querySelector("legend");
  legend.textContent = legend.textContent.replace("…", next + 1);
  const row = holder.firstElementChild;
  needs.append(row);
  settle(row);
  row.querySelector("select").focus();
});

needs.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove]");
  if (!button) return;
  event.preventDefault();
  const row = button.closest("[data-need]");
  const beside = row.nextElementSibling ?? row.previousElementSibling;
  if (beside) {
    row.remove();
    beside.querySelector("select").focus();
  } else {
    document.querySelector("[data-add]").click();
    row.remove();
  }
});

// One line more as soon as the last is written in.
document.addEventListener("input", (event) => {
  const lines = event.target.closest("[data-lines]");
  const inputs = lines ? [...lines.querySelectorAll("input")] : [];
  if (!event.target.value || inputs.at(-1) !== event.target) return;
  const line = event.target.cloneNode();
  line.value = "";
  line.placeholder = "";
  line.removeAttribute("aria-invalid");
  event.target.after(line);
});
