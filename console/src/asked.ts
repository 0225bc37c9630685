// What a page asks the gateway for by itself, and asks again.
import { useEffect, useRef, useState } from "preact/hooks";
import { getByItself, Problem } from "./api";

export interface Asked<T> {
  found: T | undefined;
  error: string;
  again: () => void;
}

/** Asks when the page is come to, when `again` is called, and every `every` milliseconds while `while_` says so. */
export function useAsked<T>(path: string, while_: (found: T | undefined) => boolean = () => false, every = 1000): Asked<T> {
  const [found, setFound] = useState<T | undefined>();
  const [error, setError] = useState("");
  const [turn, setTurn] = useState(0);
  const goesOn = useRef(while_);
  goesOn.current = while_;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const ask = async () => {
      let known: T | undefined;
      try {
        known = await getByItself<T>(path);
        if (over) return;
        setFound(known);
        setError("");
      } catch (problem) {
        if (over) return;
        setError(problem instanceof Problem ? problem.message : String(problem));
      }
      if (goesOn.current(known)) timer = setTimeout(ask, every);
    };
    void ask();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [path, turn]);
  return { found, error, again: () => setTurn((turn) => turn + 1) };
}
