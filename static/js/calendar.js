// The timeline: draws what is in view, opens what is clicked, and asks before anything is booked or moved.
//
// The widget lives in the laboratory's wall time (see labtime.js); instants leave for the API with an offset.

import { Refusal, call } from "./api.js";
import * as labtime from "./labtime.js";
import { element, facts, notify, openSheet, showProblems } from "./sheet.js";

const given = JSON.parse(document.getElementById("calendar-given").textContent);
const { words, zone } = given;
const units = { d: words.d, h: words.h, min: words.min };
const sheet = document.getElementById("sheet");
const target = document.getElementById("timeline");
const bySlug = new Map(given.rows.map((row) => [row.slug, row]));

const VIEWS = { day: "resourceTimelineDay", week: "resourceTimelineWeek", month: "resourceTimelineMonth" };
const MOVABLE = new Set(["requested", "approved"]);

const span = (start, end) => labtime.span(start, end, zone, given.locale, units);
const instant = (date) => labtime.toInstant(labtime.partsOf(date), zone);
const wall = (at) => labtime.toWall(at, zone);
const text = (at) => labtime.toOffsetText(at, zone);
const nameOf = (slug) => bySlug.get(slug)?.name ?? slug;

// --- what is shown -------------------------------------------------------------------------------------

function shownRows() {
  const category = document.getElementById("category").value;
  const parts = document.getElementById("q").value.toLowerCase().split(/\s+/).filter(Boolean);
  return given.rows.filter((row) => (!category || row.category === category)
    && parts.every((part) => row.words.includes(part)));
}

function resources() {
  const rooms = new Map();
  for (const row of shownRows()) {
    if (!rooms.has(row.room)) rooms.set(row.room, { id: `room ${row.room}`, title: row.roomName, children: [] });
    rooms.get(row.room).children.push({ id: row.slug, title: row.name, extendedProps: { row } });
  }
  return [...rooms.values()];
}

/** One of the API's items as the widget's event, from when the place is taken until it is free. */
function eventOf(item) {
  const full = item.visibility === "full";
  const occupied = full ? item.occupied : item;
  const start = new Date(occupied.start), end = new Date(occupied.end);
  const look = !full ? "busy" : item.standing ?? (item.kind === "block" ? "block" : item.status);
  return {
    id: item.id,
    resourceIds: item.equipment,
    start: wall(start),
    end: wall(end),
    title: full ? item.title : words.busyTitle,
    classNames: ["lb", `lb-${look}`, ...(!full && bySlug.get(item.equipment[0])?.places > 1 ? ["lb-thin"] : [])],
    startEditable: full && MOVABLE.has(item.status),
    durationEditable: full && MOVABLE.has(item.status),
    extendedProps: {
      item,
      look,
      use: full ? [new Date(item.start), new Date(item.end)] : [start, end],
      occupied: [start, end],
    },
  };
}

async function load({ start, end }) {
  const query = new URLSearchParams({
    facility: given.facility, from: instant(start).toISOString(), to: instant(end).toISOString(),
  });
  const { body } = await call("GET", `/calendar?${query}`);
  return body.items.map(eventOf);
}

function content({ event }) {
  const { look, use, occupied } = event.extendedProps;
  if (!use) return ""; // what is being drawn to book it has no words yet
  const whole = occupied[1] - occupied[0];
  const inner = element("span", { class: "lb-use" }, element("span", { class: "lb-title" }, event.title));
  inner.title = `${event.title}, ${words[look] ?? look}, ${span(...use)}`;
  inner.style.insetInlineStart = `${(100 * (use[0] - occupied[0])) / whole}%`;
  inner.style.width = `${(100 * (use[1] - use[0])) / whole}%`;
  return { domNodes: [inner, element("span", { class: "visually-hidden" }, `, ${words[look] ?? look}, ${span(...use)}`)] };
}

// --- what is opened ------------------------------------------------------------------------------------

/** To whoever is responsible for it, whom nobody names. */
function beeps(item) {
  const href = `/kiosk/${item.equipment[0]}?open=relay#relay`;
  return element("p", { class: "buttons" }, element("a", { class: "button", href }, words.beeps));
}

function opened({ event }) {
  const { item, use, occupied, look } = event.extendedProps;
  const rows = [
    [words.equipment, item.equipment.map(nameOf).join(", ")],
    [words.time, `${span(...use)} · ${words.week.toLowerCase()} ${labtime.week(wall(use[0]))}`],
  ];
  if (look === "busy") {
    if (item.hazards?.length) rows.push([words.hazards, item.hazards.map((code) => words[code] ?? code.replaceAll("_", " ")).join(", ")]);
    if (given.phone) rows.push([words.phone, given.phone]);
    openSheet(sheet, words, words.busyTitle, [facts(rows), element("p", { class: "second" }, words.othersBusy), beeps(item)]);
    return;
  }
  if (+use[0] !== +occupied[0] || +use[1] !== +occupied[1]) rows.push([words.occupied, span(...occupied)]);
  openSheet(sheet, words, item.title, [
    element("p", {}, element("span", { class: "status", "data-status": look }, words[look] ?? look)),
    facts(rows),
    element("p", { class: "buttons" }, element("a", { class: "button primary", href: `/reservations/${item.id}` }, words.open)),
  ]);
}

// --- what is booked ------------------------------------------------------------------------------------

function selected({ start, end, resource }) {
  const row = resource?.extendedProps?.row;
  calendar.unselect();
  if (!row?.bookable) return;
  const from = instant(start), to = instant(end);
  const title = element("input", { class: "input", id: "new-title", name: "title", required: true, maxlength: 300 });
  const more = new URLSearchParams({ equipment: row.slug, start: text(from), end: text(to) });
  const form = element(
    "form", { class: "form", onsubmit: (event) => { event.preventDefault(); book(row, from, to, title.value, form); } },
    element("div", { class: "field" }, element("label", { for: "new-title" }, words.title), title),
    element(
      "div", { class: "buttons" },
      element("button", { class: "button primary", type: "submit" }, row.automatic ? words.book : words.request),
      element("a", { class: "button", href: `/book?${more}` }, words.more),
    ),
  );
  openSheet(sheet, words, row.name, [facts([[words.time, span(from, to)]]), form]);
  title.focus();
}

async function book(row, from, to, title, form) {
  const wish = { equipment: [{ slug: row.slug, places: 1 }], start: text(from), end: text(to), title };
  form.dataset.key ||= crypto.randomUUID();
  await attempt(async () => {
    const { body } = await call("POST", "/reservations", wish, { "Idempotency-Key": form.dataset.key });
    sheet.close();
    notify(body.status === "requested" ? words.requested_now : words.booked, { label: words.undo, run: () => undo(body.id) });
  });
}

function undo(id) {
  attempt(async () => {
    await call("POST", `/reservations/${id}/cancel`, { cause: "user" });
    notify(words.undone);
  });
}

// --- what is moved -------------------------------------------------------------------------------------

/** The time of use that a dragged or resized block stands for: set-up and tear-down keep their lengths. */
function wished(event, kind) {
  const { use, occupied } = event.extendedProps;
  const before = use[0] - occupied[0], after = occupied[1] - use[1];
  const from = new Date(+instant(event.start) + before);
  if (kind === "drop") return [from, new Date(+from + (use[1] - use[0]))];
  return [from, new Date(+instant(event.end) - after)];
}

function moved({ event, oldEvent, oldResource, newResource, revert }, kind) {
  const { item, use } = oldEvent.extendedProps;
  const [from, to] = wished(event, kind);
  const other = newResource && oldResource && newResource.id !== oldResource.id;
  const equipment = other
    ? item.equipment.map((slug) => ({ slug: slug === oldResource.id ? newResource.id : slug, places: 1 }))
    : null;
  let done = false;
  const rows = [[words.from, span(...use)], [words.to, span(from, to)]];
  if (other) rows.push([words.equipment, `${nameOf(oldResource.id)} → ${nameOf(newResource.id)}`]);
  openSheet(sheet, words, words.moveTitle, [
    element("p", {}, item.title),
    facts(rows),
    element(
      "div", { class: "buttons" },
      element("button", { type: "button", class: "button primary", onclick: async () => { done = await move(item, from, to, equipment, use); } }, words.move),
      element("button", { type: "button", class: "button", onclick: () => sheet.close() }, words.keep),
    ),
  ], () => { if (!done) revert(); });
}

async function move(item, from, to, equipment, before) {
  return attempt(async () => {
    const { etag, body: now } = await call("GET", `/reservations/${item.id}`);
    const wish = { start: text(from), end: text(to) };
    if (equipment) {
      const places = new Map(now.equipment.map((piece) => [piece.slug, piece.places]));
      wish.equipment = equipment.map((piece, index) => ({ ...piece, places: places.get(item.equipment[index]) ?? 1 }));
    }
    const { body, etag: after } = await call("PATCH", `/reservations/${item.id}`, wish, { "If-Match": etag });
    sheet.close();
    if (body.pending_change) return notify(words.asked);
    const back = { start: text(before[0]), end: text(before[1]), ...(equipment ? { equipment: now.equipment } : {}) };
    notify(words.moved, {
      label: words.undo,
      run: () => attempt(async () => {
        await call("PATCH", `/reservations/${item.id}`, back, { "If-Match": after });
        notify(words.undone);
      }),
    });
  });
}

/** Runs it and draws anew; what is refused is said where it was asked. */
async function attempt(work) {
  try {
    await work();
    calendar.refetchEvents();
    return true;
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal(0, { detail: words.failed });
    if (sheet.open) showProblems(sheet, refusal, (c) => `${nameOf(c.equipment)}: ${span(new Date(c.start), new Date(c.end))}`);
    else notify(refusal.problems[0]?.message ?? refusal.message);
    return false;
  }
}

// --- the widget ----------------------------------------------------------------------------------------

const small = matchMedia("(max-width: 719px)").matches;
const SIDE = small ? 128 : 200; // as in calendar.css

/** Slots as wide as fills the page, and never narrower than their hours can be read. */
function views() {
  const wide = (slots, least) => Math.max(least, Math.floor((100 * (target.clientWidth - SIDE - 1)) / slots) / 100);
  return {
    resourceTimelineDay: { slotDuration: "01:00:00", slotWidth: wide(24, 44) },
    resourceTimelineWeek: { slotDuration: "06:00:00", slotWidth: wide(28, 36), snapDuration: "01:00:00", scrollTime: "00:00:00" },
    resourceTimelineMonth: { slotDuration: { days: 1 }, slotWidth: wide(31, 34), dayHeaderFormat: { weekday: "narrow", day: "numeric" } },
  };
}

function label({ resource }) {
  const { row } = resource.extendedProps;
  if (!row) return { domNodes: [element("strong", {}, resource.title)] };
  const name = element("a", { href: `/equipment/${row.slug}`, title: resource.title }, resource.title);
  return { domNodes: row.places > 1 ? [name, element("span", { class: "second", title: row.placesName }, `×${row.places}`)] : [name] };
}

/** A day opens on the hour before now where it is today, else on the morning. */
function scrollTime(day) {
  const now = wall(new Date());
  return day === now.slice(0, 10) ? `${String(Math.max(0, Number(now.slice(11, 13)) - 1)).padStart(2, "0")}:00:00` : "07:00:00";
}

const asked = new URLSearchParams(location.search).get("view");
const first = asked || !small ? given.view : "day";

let drawn = false;
target.replaceChildren();
const calendar = EventCalendar.create(target, {
  view: VIEWS[first],
  date: labtime.fromParts(`${given.date}T12:00:00`),
  timeZone: given.offset,
  locale: given.locale === "en" ? "en-GB" : given.locale,
  firstDay: 1,
  height: "100%",
  headerToolbar: { start: "", center: "", end: "" },
  resources: resources(),
  eventSources: [{ events: load }],
  lazyFetching: true,
  nowIndicator: true,
  scrollTime: scrollTime(given.date),
  snapDuration: "00:15:00",
  slotLabelFormat: { hour: "2-digit", minute: "2-digit", hour12: false },
  dayHeaderFormat: { weekday: "short", day: "numeric", month: "short" },
  views: views(),
  resourceLabelContent: label,
  editable: true,
  eventStartEditable: true,
  eventDurationEditable: true,
  eventResizableFromStart: true,
  selectable: true,
  longPressDelay: 400,
  selectMinDistance: 4,
  eventContent: content,
  eventClick: opened,
  select: selected,
  eventDrop: (info) => moved(info, "drop"),
  eventResize: (info) => moved(info, "resize"),
  eventAllUpdated: () => target.setAttribute("aria-busy", "false"),
  loading: (busy) => target.setAttribute("aria-busy", String(busy)),
  datesSet: shown,
});
drawn = true;

// --- what stands above it: the same links as without script, without going anywhere ------------------------

const titles = {
  day: (date) => new Intl.DateTimeFormat(given.locale === "en" ? "en-GB" : given.locale, { weekday: "short", day: "numeric", month: "short", year: "numeric" }).format(date).replace(",", ""),
  week: (date) => {
    const parts = labtime.partsOf(date);
    const thursday = new Date(date);
    thursday.setDate(thursday.getDate() + 3);
    return `${words.week} ${labtime.week(parts)}, ${thursday.getFullYear()}`;
  },
  month: (date) => new Intl.DateTimeFormat(given.locale === "en" ? "en-GB" : given.locale, { month: "long", year: "numeric" }).format(date),
};

function shown({ view }) {
  const name = Object.keys(VIEWS).find((key) => VIEWS[key] === view.type);
  document.querySelector("[data-calendar=title]").textContent = titles[name](view.currentStart);
  for (const link of document.querySelectorAll("[data-calendar-view]")) {
    if (link.dataset.calendarView === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  const day = labtime.partsOf(view.currentStart).slice(0, 10);
  if (drawn && name === "day") calendar.setOption("scrollTime", scrollTime(day));
  remember({ view: name, date: day });
}

/** The address, and the links that leave the page, say what is shown. */
function remember(values) {
  for (const address of [location, ...document.querySelectorAll("[data-calendar=list], .calendar-bar nav:first-of-type a")]) {
    const url = new URL(address.href);
    for (const [key, value] of Object.entries(values)) {
      if (key === "view" && address !== location && !url.pathname.endsWith("/calendar")) continue;
      if (value) url.searchParams.set(key, value);
      else url.searchParams.delete(key);
    }
    if (address === location) history.replaceState(null, "", url);
    else address.href = url;
  }
}

const steps = { previous: () => calendar.prev(), following: () => calendar.next(), today: () => calendar.setOption("date", labtime.fromParts(wall(new Date()))) };
for (const [name, step] of Object.entries(steps)) {
  document.querySelector(`[data-calendar=${name}]`).addEventListener("click", (event) => { event.preventDefault(); step(); });
}
for (const link of document.querySelectorAll("[data-calendar-view]")) {
  link.addEventListener("click", (event) => { event.preventDefault(); calendar.setOption("view", VIEWS[link.dataset.calendarView]); });
}

let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) calendar.setOption("views", views());
  width = innerWidth;
});

const filter = document.querySelector(".calendar-filter");
filter.querySelector("[data-calendar=filter]").hidden = true;
filter.addEventListener("submit", (event) => event.preventDefault());
filter.addEventListener("input", () => {
  calendar.setOption("resources", resources());
  remember({ category: document.getElementById("category").value, q: document.getElementById("q").value });
});
