// Passkeys (W3C Web Authentication): asks our own page what to sign, lets the device do it, and sends the form.
"use strict";
(() => {
  const able = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON;
  const asked = async (form) => {
    const answer = await fetch(form.action + "/ask", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (!answer.ok) throw new Error("refused");
    return answer.json();
  };
  const send = (form, made) => {
    form.elements.answer.value = JSON.stringify(made.toJSON());
    form.submit();
  };
  // Where the browser can, it offers passkeys in the field of the address too, until the button is pressed.
  const offer = async (form) => {
    const waiting = new AbortController();
    form.addEventListener("submit", () => waiting.abort(), { once: true });
    try {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable())) return;
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await asked(form));
      send(form, await navigator.credentials.get({ publicKey, mediation: "conditional", signal: waiting.signal }));
    } catch {
      // Nobody chose one: the button and the mail are there.
    }
  };
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!able) continue;
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      if (form.elements.answer.value) return;
      event.preventDefault();
      try {
        const options = await asked(form);
        send(form, form.dataset.passkey === "make"
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }));
      } catch {
        form.elements.answer.value = "{}"; // the server says what can be done next
        form.submit();
      }
    });
    if (form.dataset.passkey === "enter" && PublicKeyCredential.isConditionalMediationAvailable) offer(form);
  }
})();
