/** The page on which people sign in; it stands alone, as nothing else is given to who has not. */

const form = /** @type {HTMLFormElement} */ (document.getElementById("sign-in"));
const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
const said = /** @type {HTMLElement} */ (document.getElementById("said"));

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void signIn();
});

async function signIn() {
  button.disabled = true;
  said.textContent = "Signing in …";
  said.textContent = await refusal(Object.fromEntries(new FormData(form)));
  button.disabled = false;
}

/**
 * Why it did not work; if it did, the review takes the place of this page.
 *
 * @param {object} person
 */
async function refusal(person) {
  const headers = { "Content-Type": "application/json", "X-Curate": "1" };
  try {
    const response = await fetch("/api/sign-in", { method: "POST", headers, body: JSON.stringify(person) });
    if (response.ok) return location.replace("/"), "Signed in.";
    const { error, hint } = await response.json();
    return `${error} ${hint}`;
  } catch {
    return "The server does not answer. Try again in a moment.";
  }
}
