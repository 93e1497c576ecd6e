// Every page: what the server cannot know, and manners. All of it works without.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;

// An open menu closes when one goes elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A second click on a button that posts does not post twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 4000);
});

// What is shown once is copied with one click; without this it is selected with one.
for (const shown of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = shown.dataset.copy;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(shown.textContent.trim());
      button.textContent = shown.dataset.copied;
    } catch {
      getSelection().selectAllChildren(shown);
    }
  });
  shown.after(" ", button);
}

// What was refused is read first.
document.querySelector(".problems[role=alert]")?.focus();
