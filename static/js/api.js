// Labbook's own API, from a signed-in page. What is refused comes back as a Refusal with every problem.

const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

export class Refusal extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || String(status));
    this.status = status;
    this.problems = body?.problems ?? [];
    this.conflicts = body?.conflicts ?? [];
  }
}

/** `{ body, etag }`; throws a Refusal for what the server refused, and TypeError when it did not answer. */
export async function call(method, path, body, headers = {}) {
  const answer = await fetch(`/api/v1${path}`, {
    method,
    headers: {
      Accept: "application/json",
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(method === "GET" ? {} : { "X-CSRFToken": token }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const json = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : null;
  if (!answer.ok) {
    if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Refusal(answer.status, json);
  }
  return { body: json, etag: answer.headers.get("ETag") };
}
