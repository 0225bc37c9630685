// The shell: who is signed in, where one can go, and what is told on every page.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Credentials } from "./credentials";
import { Dialog } from "./dialog";
import { Freezes } from "./freezes";
import { flat } from "./inert";
import { shortcutsOn, switchShortcuts, useKeys } from "./keys";
import { Live } from "./live";
import { Reviews } from "./reviews";
import { ReviewPage } from "./review";
import { Heading, Link, navigate, usePath } from "./route";
import { signOut, SignIn, whoAmI } from "./sign-in";
import { arrivals, follow, update, useStore } from "./store";
import { Inert } from "./text";
import type { Waiting } from "./types";

const THEME = "portcullis.theme";
const NOTIFY = "portcullis.notify";
const THEMES = ["auto", "dark", "light"];

function applyTheme(theme: string): void {
  document.documentElement.dataset["theme"] = theme;
}

function Theme() {
  const [theme, set] = useState(localStorage.getItem(THEME) ?? "auto");
  const choose = (theme: string) => {
    localStorage.setItem(THEME, theme);
    applyTheme(theme);
    set(theme);
  };
  return (
    <label class="theme">
      <span class="visually-hidden">Colours</span>
      <select value={theme} onChange={(event) => choose(event.currentTarget.value)}>
        {THEMES.map((name) => <option value={name}>{name}</option>)}
      </select>
    </label>
  );
}

/** Tells of what waits, outside of the page: without a word of the statement, which is for the page alone. */
function notify(review: Waiting): void {
  if (!("Notification" in window) || Notification.permission !== "granted" || localStorage.getItem(NOTIFY) !== "on") return;
  const told = new Notification(flat(`Review: ${review.what}`, 80), {
    body: flat(`${review.who} on ${review.connection.name} (${review.connection.environment})`), tag: review.id,
  });
  told.onclick = () => {
    window.focus();
    navigate(`/reviews/${review.id}`);
  };
}

function Notify() {
  const [on, set] = useState(localStorage.getItem(NOTIFY) === "on");
  if (!("Notification" in window)) return null;
  const change = async () => {
    const wanted = !on && (await Notification.requestPermission()) === "granted";
    localStorage.setItem(NOTIFY, wanted ? "on" : "off");
    set(wanted);
  };
  return <button type="button" aria-pressed={on} onClick={change}>Notify me</button>;
}

function Help({ close }: { close: () => void }) {
  const [on, set] = useState(shortcutsOn());
  const all = [
    ["j, k", "next, previous"], ["Enter", "open the chosen review"], ["a", "approve once, on a review's page"],
    ["p", "approve the pattern"], ["r", "reject with a reason"], ["x", "end the chosen session, on Live"],
    ["Esc", "back, or close a question"], ["?", "this list"],
  ];
  return (
    <Dialog title="Keyboard" act={async () => switchShortcuts(on)} confirm="Done" close={close}>
      <dl class="keys">{all.map(([key, what]) => <div><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
      <label class="inline"><input type="checkbox" checked={on} onChange={(event) => set(event.currentTarget.checked)} /> single keys are shortcuts</label>
    </Dialog>
  );
}

function Page({ path }: { path: string }) {
  const review = /^\/reviews\/([\w-]+)$/.exec(path)?.[1];
  if (review) return <ReviewPage id={review} key={review} />;
  switch (path) {
    case "/live": return <Live />;
    case "/credentials": return <Credentials />;
    case "/": case "/reviews": case "/sign-in": return <Reviews />;
    default: return <main><Heading title="Not here">There is no such page</Heading></main>;
  }
}

function Shell() {
  const { me, reviews, connected } = useStore();
  const path = usePath();
  const [helping, help] = useState(false);
  const [news, setNews] = useState("");
  useKeys({ "?": () => help(true) });
  useEffect(() => follow(() => update({ me: null })), []);
  useEffect(() => {
    const arrive = (review: Waiting) => {
      setNews(flat(`New review: ${review.what}, ${review.who}`));
      notify(review);
    };
    arrivals.add(arrive);
    return () => void arrivals.delete(arrive);
  }, []);
  const waiting = reviews?.filter((review) => review.status === "pending").length ?? 0;
  return (
    <>
      <a class="skip" href="#content">To the content</a>
      <header>
        <Link to="/reviews" class="brand">Portcullis</Link>
        <nav aria-label="Pages">
          <Link to="/reviews" current={path === "/" || path.startsWith("/reviews")}>Reviews{waiting > 0 && <span class="number">{waiting}</span>}</Link>
          <Link to="/live" current={path === "/live"}>Live</Link>
          <Link to="/credentials" current={path === "/credentials"}>Credentials</Link>
        </nav>
        <div class="tools">
          {!connected && <span class="badge lost" role="status">not connected</span>}
          <Notify />
          <button type="button" onClick={() => help(true)} aria-label="Keyboard shortcuts">?</button>
          <Theme />
          <span class="me"><Inert text={me?.name ?? ""} /></span>
          <button type="button" onClick={signOut}>Sign out</button>
        </div>
      </header>
      <Freezes />
      <div id="content"><Page path={path} /></div>
      <p class="visually-hidden" role="status">{news}</p>
      {helping && <Help close={() => help(false)} />}
    </>
  );
}

function App() {
  const { me } = useStore();
  useEffect(() => void whoAmI().catch(() => undefined), []);
  if (me === undefined) return <p class="quiet starting">…</p>;
  return me === null ? <SignIn /> : <Shell />;
}

applyTheme(localStorage.getItem(THEME) ?? "auto");
const place = document.getElementById("app");
if (place) render(<App />, place);
