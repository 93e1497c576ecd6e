// A page that stands for days: it renews itself, says when it cannot, and forgets what was typed and refused.

const shown = document.getElementById("kiosk-now");
const stamp = document.getElementById("kiosk-stamp");
const offline = document.getElementById("kiosk-offline");
const { url } = shown.dataset;
const every = Number(shown.dataset.every) * 1000;
const TIMEOUT = 8000;
const FORGET = 60000;

async function ask(method) {
  const answer = await fetch(url, { method, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
  if (answer.status >= 500) throw new Error(answer.statusText);
  return answer;
}

function connected(is) {
  offline.hidden = is;
}

async function renew() {
  try {
    const answer = await ask("GET");
    // Revoked, or the session ended: the page itself has to say so.
    if (answer.redirected || !answer.ok) { location.replace(url); return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = fresh.getElementById("kiosk-now");
    if (!shown.contains(document.activeElement) && shown.innerHTML !== now.innerHTML) shown.replaceChildren(...now.childNodes);
    stamp.textContent = fresh.getElementById("kiosk-stamp").textContent;
    offline.querySelector("[data-since]").textContent = fresh.querySelector("[data-since]").textContent;
    connected(true);
  } catch {
    connected(false);
  }
}

setInterval(renew, every);
addEventListener("online", renew);
addEventListener("offline", () => connected(false));
document.addEventListener("visibilitychange", () => { if (!document.hidden) renew(); });

// Without a network a form would lead to the browser's own error page, from which a tablet does not come back.
for (const form of document.querySelectorAll("main form")) guard(form);
new MutationObserver(() => { for (const form of shown.querySelectorAll("form")) guard(form); }).observe(shown, { childList: true });

function guard(form) {
  if (form.dataset.guarded) return;
  form.dataset.guarded = "yes";
  form.addEventListener("submit", async (event) => {
    if (form.dataset.reached) { delete form.dataset.reached; return; }
    event.preventDefault();
    event.stopPropagation();
    const { submitter } = event;
    try {
      await ask("HEAD");
    } catch {
      connected(false);
      return;
    }
    form.dataset.reached = "yes";
    form.requestSubmit(submitter);
  });
}

// What somebody typed and left, and what they were told, is nobody's business a minute later.
const code = document.getElementById("kiosk_code");
let idle;
function restless() {
  clearTimeout(idle);
  idle = setTimeout(() => {
    if (code) code.value = "";
    if (code && (location.pathname !== url || document.querySelector(".flash.success, details[open]"))) location.replace(url);
  }, FORGET);
}
for (const kind of ["input", "click", "keydown"]) addEventListener(kind, restless);
restless();
