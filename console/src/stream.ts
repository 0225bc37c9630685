// Server-sent events (HTML Living Standard, section 9.2), as far as the gateway sends them: `event` and `data`, each
// event's data JSON on one line.

/** Longest event that is waited for. */
const MOST = 64 * 1024 * 1024;

export class Lines {
  private rest = "";
  private kind = "";
  private data: string | null = null;

  constructor(private readonly told: (kind: string, data: unknown) => void) {}

  /** Takes what has come, however it was cut. */
  add(text: string): void {
    this.rest += text;
    if (this.rest.length > MOST) throw new Error("an event is too long");
    let end: number;
    while ((end = this.rest.indexOf("\n")) >= 0) {
      this.line(this.rest.slice(0, end).replace(/\r$/, ""));
      this.rest = this.rest.slice(end + 1);
    }
  }

  private line(line: string): void {
    if (line === "") {
      if (this.data !== null) this.told(this.kind, JSON.parse(this.data));
      this.kind = "";
      this.data = null;
    } else if (line.startsWith("event:")) {
      this.kind = line.slice(6).trimStart();
    } else if (line.startsWith("data:")) {
      this.data = (this.data ?? "") + line.slice(5);
    }
  }
}
