// UTC instants and the laboratory's wall time, for any IANA zone, on both daylight-saving days.
//
// The calendar widget knows no zones: it gets and gives "wall" times, written here as naive ISO text
// ("2026-03-29T08:00:00"). Its Date objects are read by their local parts, never by toISOString(), which
// once made a browser in Tokyo book 02:00 for 10:00.

const formatters = new Map();

function formatter(zone) {
  if (!formatters.has(zone)) {
    formatters.set(zone, new Intl.DateTimeFormat("en-CA", {
      timeZone: zone, hourCycle: "h23",
      year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    }));
  }
  return formatters.get(zone);
}

const two = (number) => String(number).padStart(2, "0");

/** Minutes that the zone's clock is ahead of UTC at an instant. */
export function offsetAt(instant, zone) {
  const whole = Math.floor(instant.getTime() / 1000) * 1000;
  return (Date.parse(`${toWall(new Date(whole), zone)}Z`) - whole) / 60000;
}

/** An instant as naive wall time: "2026-03-29T08:00:00". */
export function toWall(instant, zone) {
  const part = {};
  for (const { type, value } of formatter(zone).formatToParts(instant)) part[type] = value;
  return `${part.year.padStart(4, "0")}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}`;
}

/**
 * The instant of a naive wall time. One in the spring gap is read as the instant the clock jumps over it
 * (02:30 becomes 03:30 summer time); one in the autumn fold happens twice, and the first is taken: the
 * same as on the server.
 */
export function toInstant(wall, zone) {
  const naive = Date.parse(`${wall}Z`);
  const day = 24 * 3600 * 1000;
  const before = offsetAt(new Date(naive - day), zone);
  const after = offsetAt(new Date(naive + day), zone);
  // The greater offset gives the earlier instant: right in the fold, and before the gap.
  for (const offset of [Math.max(before, after), Math.min(before, after)]) {
    const found = new Date(naive - offset * 60000);
    if (toWall(found, zone) === wall) return found;
  }
  return new Date(naive - before * 60000);
}

/** "2026-03-29T08:00:00+02:00": what the API takes. */
export function toOffsetText(instant, zone) {
  const minutes = offsetAt(instant, zone);
  const size = Math.abs(minutes);
  return `${toWall(instant, zone)}${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** The wall time that one of the widget's Date objects stands for: its local parts. */
export function partsOf(date) {
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
    + `T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** The widget's local Date for a wall time, only for asking it things such as its weekday. */
export function fromParts(wall) {
  const [year, month, day, hour = 0, minute = 0, second = 0] = wall.split(/[-T:]/).map(Number);
  return new Date(year, month - 1, day, hour, minute, second);
}

/** "6 d 4 h", "1 h 30 min", "45 min": elapsed time, whatever the clocks were set to. */
export function duration(milliseconds, units = { d: "d", h: "h", min: "min" }) {
  const minutes = Math.round(milliseconds / 60000);
  const parts = [
    [Math.floor(minutes / 1440), units.d], [Math.floor((minutes % 1440) / 60), units.h], [minutes % 60, units.min],
  ];
  return parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`).join(" ") || `0 ${units.min}`;
}

/** The ISO week of a wall date. */
export function week(wall) {
  const [year, month, day] = wall.slice(0, 10).split("-").map(Number);
  const thursday = new Date(Date.UTC(year, month - 1, day));
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  return Math.ceil(((thursday - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / 86400000 + 1) / 7);
}

/** "Tue 24 Nov, 08:00–16:00 (8 h)" of two instants, on the zone's clock. */
export function span(start, end, zone, locale, units) {
  const day = new Intl.DateTimeFormat(locale === "en" ? "en-GB" : locale, { timeZone: zone, weekday: "short", day: "numeric", month: "short" });
  const said = (instant) => day.formatToParts(instant).filter(({ type, value }) => type !== "literal" || value.trim() !== ",")
    .map(({ type, value }) => (type === "literal" ? value.replace(",", "") : value)).join("").replace(/\s+/g, " ").trim();
  const clock = (instant) => toWall(instant, zone).slice(11, 16);
  const length = duration(end - start, units);
  const same = toWall(start, zone).slice(0, 10) === toWall(end, zone).slice(0, 10);
  return same
    ? `${said(start)}, ${clock(start)}–${clock(end)} (${length})`
    : `${said(start)}, ${clock(start)} – ${said(end)}, ${clock(end)} (${length})`;
}
