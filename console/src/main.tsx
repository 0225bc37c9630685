// The shell: who is signed in, where one can go, and what is told on every page.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Access } from "./access";
import { Audit } from "./audit";
import { Connections } from "./connections";
import { Credentials } from "./credentials";
import { Dialog } from "./dialog";
import { Explain } from "./explain";
import { Freezes } from "./freezes";
import { Health } from "./health";
import { Identity } from "./identity";
import { flat } from "./inert";
import { shortcutsOn, switchShortcuts, useKeys } from "./keys";
import { Live } from "./live";
import { Passkeys } from "./passkeys";
import { Policies } from "./policies";
import { Recordings } from "./recordings";
import { Reviews } from "./reviews";
import { ReviewPage } from "./review";
import { Heading, Link, navigate, rename, usePath } from "./route";
import { Settings } from "./settings";
import { Start, useIsNew } from "./start";
import { Timeline, Watch } from "./timeline";
import { signOut, SignIn, whoAmI } from "./sign-in";
import { arrivals, follow, may, requests, update, useStore } from "./store";
import { Inert } from "./text";
import type { Grant, Waiting } from "./types";

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
function notify(title: string, body: string, tag: string, path: string): void {
  if (!("Notification" in window) || Notification.permission !== "granted" || localStorage.getItem(NOTIFY) !== "on") return;
  const told = new Notification(flat(title, 80), { body: flat(body), tag });
  told.onclick = () => {
    window.focus();
    navigate(path);
  };
}

const chain = ({ name, acting_for }: Grant["ask"]["principal"]) => (acting_for ? `${name} for ${acting_for}` : name);

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
    ["j, k", "next, previous: in lists, and in what happened in a session"], ["n, p", "next, previous that was not just let through, in a session"], ["/", "search, on Sessions and Settings"],
    ["w", "watch the chosen session, on Live"], ["Enter", "open the chosen review"], ["a", "approve once, on a review's page; approve the chosen request, on Access"],
    ["p", "approve the pattern; pause or resume the chosen session, on Live"], ["r", "reject with a reason"], ["q", "ask the caller something, or answer"], ["x", "end the chosen session or grant, on Live and Access"],
    ["c", "copy the chosen command, on Start"], ["v", "look again, on Health; verify, on Audit"], ["Esc", "back, or close a question"], ["?", "this list"],
  ];
  return (
    <Dialog title="Keyboard" act={async () => switchShortcuts(on)} confirm="Done" close={close}>
      <dl class="keys">{all.map(([key, what]) => <div><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
      <label class="inline"><input type="checkbox" checked={on} onChange={(event) => set(event.currentTarget.checked)} /> single keys are shortcuts</label>
    </Dialog>
  );
}

/** What waits for somebody; where nothing does, and it has never connected, how to begin. */
function Home() {
  const { me, reviews } = useStore();
  const isNew = useIsNew(me);
  const [reviewing, review] = useState(false);
  useEffect(() => {
    // Once: no page is taken away from under its reader.
    if (reviewing || !reviews || isNew === undefined) return;
    if (isNew && reviews.length === 0) rename("/start");
    else review(true);
  }, [reviewing, reviews, isNew]);
  return reviewing ? <Reviews /> : <main><p class="quiet">Asking the gateway…</p></main>;
}

function Page({ path }: { path: string }) {
  const review = /^\/reviews\/([\w-]+)$/.exec(path)?.[1];
  if (review) return <ReviewPage id={review} key={review} />;
  const recorded = /^\/sessions\/([\w-]+)$/.exec(path)?.[1];
  if (recorded) return <Timeline id={recorded} key={recorded} />;
  const watched = /^\/live\/([\w-]+)$/.exec(path)?.[1];
  if (watched) return <Watch id={watched} key={watched} />;
  switch (path) {
    case "/live": return <Live />;
    case "/sessions": return <Recordings />;
    case "/policies": return <Policies />;
    case "/explain": return <Explain key={location.search} />;
    case "/access": return <Access />;
    case "/credentials": return <Credentials />;
    case "/passkeys": return <Passkeys />;
    case "/start": return <Start />;
    case "/connections": return <Connections />;
    case "/health": return <Health />;
    case "/settings": return <Settings />;
    case "/audit": return <Audit />;
    case "/identity": return <Identity />;
    case "/reviews": return <Reviews />;
    case "/": case "/sign-in": return <Home />;
    default: return <main><Heading title="Not here">There is no such page</Heading></main>;
  }
}

/** Pages for administrators alone; the gateway decides, whatever is shown. */
const INSIDE = [["/identity", "Identity"], ["/audit", "Audit"], ["/health", "Health"], ["/settings", "Settings"]] as const;

function Shell() {
  const { me, reviews, grants, connected } = useStore();
  const path = usePath();
  const [helping, help] = useState(false);
  const [news, setNews] = useState("");
  useKeys({ "?": () => help(true) });
  useEffect(() => follow(() => update({ me: null })), []);
  useEffect(() => {
    const arrive = (review: Waiting) => {
      setNews(flat(`New review: ${review.what}, ${review.who}`));
      const { name, environment } = review.connection;
      notify(`Review: ${review.what}`, `${review.who} on ${name} (${environment})`, review.id, `/reviews/${review.id}`);
    };
    const request = ({ id, ask }: Grant) => {
      setNews(flat(`${chain(ask.principal)} asks for access to ${ask.connection}`));
      notify(`Access to ${ask.connection}`, `${chain(ask.principal)} asks (${ask.environment})`, id, "/access");
    };
    arrivals.add(arrive);
    requests.add(request);
    return () => {
      arrivals.delete(arrive);
      requests.delete(request);
    };
  }, []);
  const waiting = reviews?.filter((review) => review.status === "pending").length ?? 0;
  const asking = grants?.filter((grant) => grant.status === "pending").length ?? 0;
  return (
    <>
      <a class="skip" href="#content">To the content</a>
      <header>
        <Link to="/reviews" class="brand">Portcullis</Link>
        <nav aria-label="Pages">
          <Link to="/start" current={path === "/start"}>Start</Link>
          <Link to="/reviews" current={path === "/" || path.startsWith("/reviews")}>Reviews{waiting > 0 && <span class="number">{waiting}</span>}</Link>
          <Link to="/access" current={path === "/access"}>Access{asking > 0 && <span class="number">{asking}</span>}</Link>
          <Link to="/live" current={path.startsWith("/live")}>Live</Link>
          <Link to="/sessions" current={path.startsWith("/sessions")}>Sessions</Link>
          {may(me, "administrator") && <Link to="/policies" current={path === "/policies"}>Policies</Link>}
          <Link to="/credentials" current={path === "/credentials"}>Credentials</Link>
          <Link to="/connections" current={path === "/connections"}>Connections</Link>
          {may(me, "administrator") && INSIDE.map(([to, name]) => <Link to={to} current={path === to}>{name}</Link>)}
        </nav>
        <div class="tools">
          {!connected && <span class="badge lost" role="status">not connected</span>}
          <Notify />
          <button type="button" onClick={() => help(true)} aria-label="Keyboard shortcuts">?</button>
          <Theme />
          <Link to="/passkeys" class="me" current={path === "/passkeys"}><span class="visually-hidden">Passkeys of </span><Inert text={me?.name ?? ""} /></Link>
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
