"use strict";

// The link's token stands behind the "#". It is taken out of the address at once and
// kept here only: closing or reloading the page forgets it.
const link = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
// Another link in the same window changes only what is behind the "#".
addEventListener("hashchange", () => location.reload());

const $ = (id) => document.getElementById(id);
const screens = ["choose", "totp", "sent", "code-form", "key", "done"];
const words = {
  WebAuthn: ["Security key or passkey", "A key you plug in or tap, your phone, or this device's fingerprint, face or PIN. Cannot be phished."],
  TOTP: ["Authenticator app", "An app on your phone that shows a new code every 30 seconds."],
  Email: ["Codes by e-mail", "A code is sent to your address each time."],
  SMS: ["Codes by SMS", "A code is sent to your phone each time."],
};
const problems = {
  link: "This link cannot be used. It may have been used already, have ended, or been replaced by a newer one. Ask your help desk for a new one.",
  denied: "That was not accepted. Check that the clock of your device is right, wait for the next code, and try again.",
  taken: "This key is registered already. Use another one.",
  kind: "Your organization does not allow this kind. Use something else.",
  full: "You have as many factors as one can have. Ask your help desk to remove one.",
  invalid: "That could not be read. A code has 6 to 8 digits.",
  cancelled: "No key was made: it was cancelled, took too long, or this browser cannot. Try again, or use something else.",
  uncopied: "This browser does not let the page copy. Write the codes down, or print them.",
  unavailable: "The service cannot be reached just now. Nothing is lost: try again in a moment.",
};
let begun = null; // the enrolment under way

function show(...ids) {
  for (const id of screens) $(id).hidden = !ids.includes(id);
}

function say(text) { $("status").textContent = text; }

function fail(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

async function ask(what, body) {
  let answer, got;
  try {
    answer = await fetch("/enrol/" + what, {
      method: "POST", cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
      headers: { "Content-Type": "application/json", Authorization: "Link " + link }, body: JSON.stringify(body),
    });
    got = await answer.json();
  } catch {
    throw { problem: "unavailable" };
  }
  if (!answer.ok) throw got;
  return got;
}

// told says what went wrong. A link that cannot be used ends the page.
function told(problem) {
  say("");
  if (problem.problem === "wait") {
    fail(`Too many attempts. Wait ${problem.retryAfter} seconds, and try again.`);
    return;
  }
  fail(problems[problem.problem] || problems.unavailable);
  if (problem.problem === "link") {
    begun = null;
    show();
    $("title").focus();
  }
}

// busy runs one step at a time.
let running = false;
async function busy(step) {
  if (running) return;
  running = true;
  fail("");
  for (const b of document.querySelectorAll("button")) b.disabled = true;
  try {
    await step();
  } catch (problem) {
    told(problem);
  } finally {
    running = false;
    for (const b of document.querySelectorAll("button")) b.disabled = false;
  }
}

// whyNoKeys says why this browser cannot make keys here; empty: it can.
function whyNoKeys() {
  if (!window.isSecureContext) return "Security keys and passkeys need a secure connection (https), which this page does not have.";
  if (!window.PublicKeyCredential || !navigator.credentials) return "This browser does not support security keys and passkeys. Use a current Chrome, Firefox, Safari or Edge, or another device.";
  return "";
}

async function begin() {
  if (!link) throw { problem: "link" };
  say("Loading…");
  const offer = await ask("offer", {});
  say("");
  $("user").textContent = offer.user;
  const methods = [...offer.methods].sort((a, b) => (b === offer.preferred) - (a === offer.preferred));
  const why = methods.includes("WebAuthn") ? whyNoKeys() : "";
  $("no-webauthn").textContent = why;
  $("no-webauthn").hidden = !why;
  const offered = methods.filter((m) => words[m] && !(m === "WebAuthn" && why));
  $("methods").replaceChildren(...offered.map((m, i) => {
    const [title, text] = words[m];
    const item = document.createElement("li"), button = document.createElement("button"), small = document.createElement("small");
    button.type = "button";
    button.id = "use-" + m;
    if (i === 0) button.className = "first";
    small.textContent = text;
    button.append(title, small);
    button.addEventListener("click", () => busy(() => start(m)));
    item.append(button);
    return item;
  }));
  show("choose");
  if (offered.length === 0) fail("There is nothing that can be set up here with this browser. Ask your help desk.");
}

async function start(method) {
  begun = await ask("start", { method, name: $("name").value.trim() });
  if (method === "WebAuthn") {
    show("key");
    try {
      await confirm({ token: begun.token, response: await makeKey(begun.options.publicKey) });
    } catch (problem) {
      show("choose"); // a challenge is good for one answer, right or wrong
      throw problem;
    }
    return;
  }
  $("code").value = "";
  if (method === "TOTP") {
    $("picture").src = begun.picture;
    $("secret").textContent = begun.secret.match(/.{1,4}/g).join(" ");
    show("totp", "code-form");
  } else {
    $("sent-to").textContent = begun.sentTo;
    show("sent", "code-form");
  }
  $("code").focus();
}

async function confirm(body) {
  const got = await ask("confirm", body);
  begun = null;
  $("picture").removeAttribute("src");
  $("secret").textContent = "";
  $("done-text").textContent = `${(words[got.method] || [got.method])[0]}: you will be asked for it when you sign in.`;
  $("code-list").replaceChildren(...got.codes.map((code) => {
    const item = document.createElement("li");
    item.textContent = code;
    return item;
  }));
  $("codes").hidden = got.codes.length === 0;
  show("done");
  $("done-title").focus();
}

// makeKey has the browser make a key, and returns it as JSON.
async function makeKey(options) {
  let made;
  try {
    made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: (options.excludeCredentials || []).map((c) => ({ ...c, id: bytes(c.id) })),
      },
    });
  } catch (error) {
    throw { problem: error.name === "InvalidStateError" ? "taken" : "cancelled" };
  }
  const response = made.response;
  return {
    id: made.id, rawId: text(made.rawId), type: made.type,
    authenticatorAttachment: made.authenticatorAttachment || undefined,
    clientExtensionResults: made.getClientExtensionResults(),
    response: {
      clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject),
      transports: response.getTransports ? response.getTransports() : [],
    },
  };
}

// bytes and text are base64url, both ways.
function bytes(value) {
  return Uint8Array.from(atob(value.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}
function text(buffer) {
  return btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

$("code-form").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(async () => {
    const code = $("code").value.replaceAll(" ", "");
    $("code").value = "";
    $("code").focus();
    await confirm({ token: begun.token, code });
  });
});
for (const back of document.querySelectorAll(".back")) {
  back.addEventListener("click", () => {
    begun = null;
    fail("");
    show("choose");
  });
}
$("copy").addEventListener("click", () => busy(async () => {
  try {
    await navigator.clipboard.writeText([...$("code-list").children].map((c) => c.textContent).join("\n"));
  } catch {
    throw { problem: "uncopied" };
  }
  say("Copied.");
}));
$("print").addEventListener("click", () => window.print());

busy(begin);
