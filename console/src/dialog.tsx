// A question that has to be answered first. The browser keeps the focus in it and gives it back.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "./api";
import { Inert } from "./text";

interface Properties {
  title: string;
  /** What is done when it is answered; an error is shown, and the question stays. */
  act: () => Promise<void>;
  confirm: string;
  danger?: boolean;
  close: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, act, confirm, danger, close, children }: Properties) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError("");
    try {
      await act();
      dialog.current?.close();
    } catch (problem) {
      setError(problem instanceof Problem ? problem.message : String(problem));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="dialog-title">
      <form onSubmit={submit}>
        <h2 id="dialog-title">{title}</h2>
        {children}
        <p class="error" role="alert"><Inert text={error} /></p>
        <div class="actions">
          <button type="button" onClick={() => dialog.current?.close()}>Cancel</button>
          <button type="submit" class={danger ? "danger" : "primary"} disabled={busy}>{confirm}</button>
        </div>
      </form>
    </dialog>
  );
}

interface ReasonProperties {
  label: string;
  hint: string;
  value: string;
  set: (reason: string) => void;
}

/** A reason, on one line. */
export function Reason({ label, hint, value, set }: ReasonProperties) {
  return (
    <>
      <label>
        {label}
        <input type="text" value={value} onInput={(event) => set(event.currentTarget.value)} required maxLength={300}
          autoFocus autocomplete="off" aria-describedby="reason-hint" />
      </label>
      <small id="reason-hint">{hint}</small>
    </>
  );
}
