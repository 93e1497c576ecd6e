// The booking form, made better: the end follows the start, and the server says while one types what would
// become of it. Without this everything still works: the server checks when the form is sent.

import { duration, toInstant, toWall } from "./labtime.js";

const WAIT = 350;

/** "2", "2 h", "1:30", "6 d 4 h" in milliseconds, as the server reads it; null for what is none. */
export function lengthOf(text) {
  const clock = /^(\d{1,4}):([0-5]\d)$/.exec(text.trim());
  if (clock) return (Number(clock[1]) * 60 + Number(clock[2])) * 60000 || null;
  const units = { m: 1, h: 60, s: 60, t: 60, d: 1440, w: 10080, u: 10080 };
  const part = /(\d{1,6}(?:[.,]\d{1,3})?)\s*([a-zäöüåæø]*)/gi;
  if (text.replace(part, "").replace("+", "").trim()) return null;
  let minutes = 0;
  for (const [, number, unit] of text.matchAll(part)) {
    const letter = /^ta/i.test(unit) ? "d" : (unit || "h")[0].toLowerCase();
    if (!(letter in units)) return null;
    minutes += Number(number.replace(",", ".")) * units[letter];
  }
  return minutes > 0 && minutes < 400 * 1440 ? Math.round(minutes * 60) * 1000 : null;
}

/** "8", "8.00", "0800" as "08:00"; empty for what is no time. */
export function clockOf(text) {
  const found = /^(\d{1,2})(?:[:.h]?([0-5]\d))?(?::([0-5]\d))?$/.exec(text.trim());
  if (!found || Number(found[1]) > 23) return "";
  return [found[1], found[2] ?? "00", ...(found[3] ? [found[3]] : [])].map((part) => part.padStart(2, "0")).join(":");
}

class Period {
  constructor(form) {
    this.form = form;
    this.length = this.span() ?? lengthOf(this.value("duration"));
    if (!this.at("end")) this.moveEnd();
    form.addEventListener("input", (event) => this.follow(event.target.name));
  }

  value(name) { return this.form.elements[name]?.value ?? ""; }

  zone() {
    const chosen = this.form.querySelector('select[name="equipment"] option:checked[data-zone]');
    return chosen?.dataset.zone ?? this.form.dataset.zone;
  }

  at(name) {
    const [day, clock] = [this.value(`${name}_date`), clockOf(this.value(`${name}_time`))];
    return day && clock ? toInstant(`${day}T${clock.length === 5 ? `${clock}:00` : clock}`, this.zone()) : null;
  }

  span() {
    const [start, end] = [this.at("start"), this.at("end")];
    return start && end && end > start ? end - start : null;
  }

  follow(name) {
    if (/^(start|end)_fold$/.test(name)) return;
    if (name?.startsWith("start_")) this.moveEnd();
    if (name === "duration") {
      this.length = lengthOf(this.value("duration")) ?? this.length;
      this.moveEnd();
    }
    if (name?.startsWith("end_")) {
      this.length = this.span() ?? this.length;
      if (this.span()) this.form.elements.duration.value = duration(this.length);
    }
  }

  moveEnd() {
    const start = this.at("start");
    if (!start || !this.length) return;
    const wall = toWall(new Date(start.getTime() + this.length), this.zone());
    this.form.elements.end_date.value = wall.slice(0, 10);
    this.form.elements.end_time.value = wall.slice(11, 16);
    if (!this.value("duration")) this.form.elements.duration.value = duration(this.length);
  }
}

class Outlook {
  constructor(form, place) {
    this.form = form;
    this.place = place;
    form.addEventListener("input", () => this.soon());
    form.addEventListener("change", () => this.soon());
    this.soon();
  }

  ready() {
    const value = (name) => this.form.elements[name]?.value;
    const chosen = [...this.form.querySelectorAll('select[name="equipment"]')].some((each) => each.value);
    return (chosen || value("environment")) && value("start_date") && value("start_time");
  }

  soon() {
    clearTimeout(this.timer);
    if (this.ready()) this.timer = setTimeout(() => this.ask(), WAIT);
  }

  async ask() {
    this.asked?.abort();
    this.asked = new AbortController();
    this.place.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(this.form.dataset.check, {
        method: "POST", body: new FormData(this.form), signal: this.asked.signal,
      });
      if (answer.ok) this.show(await answer.text());
    } catch (error) {
      if (error.name !== "AbortError") this.place.textContent = "";
      else return;
    }
    this.place.removeAttribute("aria-busy");
  }

  /** The button says what it does: what a manager approves is asked for. */
  show(markup) {
    this.place.innerHTML = markup;
    const button = this.form.querySelector("[data-submit]");
    if (button) button.textContent = this.place.querySelector("[data-asks]") ? button.dataset.asks : button.dataset.submit;
  }
}

for (const field of document.querySelectorAll("input.clock")) {
  field.addEventListener("change", () => { field.value = clockOf(field.value) || field.value; });
}

const form = document.getElementById("booking");
if (form) {
  new Period(form);
  new Outlook(form, document.getElementById("outlook"));
}
