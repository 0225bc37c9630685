// Points in time and spans, in words.

const unit = (count: number, word: string) => `${count} ${word}`;

/** A span in its largest unit and, where that is small, the next one. Rounded down. */
export function span(micros: number): string {
  const seconds = Math.max(0, Math.floor(micros / 1_000_000));
  if (seconds < 60) return unit(seconds, "s");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes < 10 ? `${unit(minutes, "min")} ${seconds % 60} s` : unit(minutes, "min");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${unit(hours, "h")} ${minutes % 60} min`;
  return unit(Math.floor(hours / 24), "days");
}

/** Minutes and seconds that are left, as a clock. */
export function countdown(micros: number): string {
  const seconds = Math.max(0, Math.floor(micros / 1_000_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** A point in time in the reader's own zone, and in UTC where a title has room for it. */
export function moment(micros: number): { local: string; utc: string } {
  const date = new Date(micros / 1000);
  if (Number.isNaN(date.getTime())) return { local: "?", utc: "?" };
  return { local: date.toLocaleString(), utc: date.toISOString() };
}

/** A number with its thousands apart. */
export function count(number: number): string {
  return number.toLocaleString("en").replaceAll(",", "\u202f");
}
