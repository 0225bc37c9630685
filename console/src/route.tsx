// Which page is shown: by its address, so that it can be linked to.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

const watching = new Set<() => void>();
addEventListener("popstate", () => watching.forEach((watch) => watch()));

export function navigate(path: string): void {
  if (path !== location.pathname + location.search) history.pushState(null, "", path);
  watching.forEach((watch) => watch());
}

/** The same page by another address: there is nothing to go back to. */
export function rename(path: string): void {
  history.replaceState(null, "", path);
  watching.forEach((watch) => watch());
}

export function usePath(): string {
  const [path, set] = useState(location.pathname);
  useEffect(() => {
    const watch = () => set(location.pathname);
    watching.add(watch);
    return () => void watching.delete(watch);
  }, []);
  return path;
}

interface LinkProperties {
  to: string;
  children: ComponentChildren;
  class?: string;
  current?: boolean;
}

export function Link({ to, children, class: name, current }: LinkProperties) {
  const follow = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={to} class={name} aria-current={current ? "page" : undefined} onClick={follow}>{children}</a>;
}

/** The heading of a page, which is read out when the page is come to. */
export function Heading({ children, title }: { children: ComponentChildren; title: string }) {
  useEffect(() => {
    document.title = `${title} · Portcullis`;
  }, [title]);
  const arrive = (heading: HTMLHeadingElement | null) => {
    if (heading && document.activeElement === document.body) heading.focus({ preventScroll: true });
  };
  return <h1 tabIndex={-1} ref={arrive}>{children}</h1>;
}
