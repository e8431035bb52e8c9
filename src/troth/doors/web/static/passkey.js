// Passkeys (W3C Web Authentication): asks our own page what to sign, lets the device do it, and sends the form.
"use strict";
(() => {
  const able = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!able) continue;
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      if (form.elements.answer.value) return;
      event.preventDefault();
      const isNew = form.dataset.passkey === "make";
      try {
        const asked = await fetch(form.action + "/ask", { method: "POST", body: new URLSearchParams(new FormData(form)) });
        if (!asked.ok) throw new Error("refused");
        const options = await asked.json();
        const made = isNew
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
        form.elements.answer.value = JSON.stringify(made.toJSON());
      } catch {
        form.elements.answer.value = "{}"; // the server says what can be done next
      }
      form.submit();
    });
  }
})();
