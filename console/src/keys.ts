// Keyboard shortcuts: single keys, which do nothing while somebody types or a dialog is open, and can be switched off.
import { useEffect, useRef } from "preact/hooks";

export type Keys = Record<string, () => void>;

const SWITCH = "portcullis.shortcuts";

export const shortcutsOn = (): boolean => localStorage.getItem(SWITCH) !== "off";
export const switchShortcuts = (on: boolean): void => localStorage.setItem(SWITCH, on ? "on" : "off");

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null;
}

export function useKeys(keys: Keys): void {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
      if (isTyping(event.target) || document.querySelector("dialog[open]") || !shortcutsOn()) return;
      // A link or button that has the focus is what Enter means.
      const focused = event.target instanceof HTMLElement && event.target.closest("a, button, summary");
      const act = Object.hasOwn(current.current, event.key) ? current.current[event.key] : undefined;
      if (!act || (event.key === "Enter" && focused)) return;
      event.preventDefault();
      act();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}
