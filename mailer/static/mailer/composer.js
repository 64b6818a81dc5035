// The composer with a script: items are ordered by dragging or by keyboard and saved at once, texts
// are counted while they are typed. Without it, every button of the page sends its form.
"use strict";

(() => {
    const page = document.querySelector(".composer");
    const list = page.querySelector(".composer-items");
    const spoken = document.getElementById("spoken");
    const problem = document.getElementById("problem");

    page.querySelectorAll(".with-script").forEach(each => { each.hidden = false; });

    // --- saying and saving ----------------------------------------------------------------------
    const say = words => { spoken.textContent = words; };
    const items = () => [...list.children];
    const place = item => `item ${items().indexOf(item) + 1} of ${items().length}`;

    const alarm = words => {
        problem.querySelector(".said").textContent = words;
        problem.hidden = false;
    };

    const send = async (item, rank) => {
        const form = item.querySelector(".composer-acts");
        const body = new FormData(form);
        body.set("act", "move");
        body.set("to_rank", rank);
        const answer = await fetch(location.pathname, {
            method: "POST", body, headers: { Accept: "application/json" },
        });
        if (answer.redirected || !(answer.headers.get("Content-Type") || "").includes("json")) {
            throw new Error(`the server answered ${answer.status}`);
        }
        const { said, version } = await answer.json();
        if (!answer.ok) {
            alarm(`${said} Your last move is not saved.`);
            return;
        }
        page.querySelectorAll("input[name=version]").forEach(each => { each.value = version; });
        say(said);
        document.getElementById("saved").textContent = `Saved. ${said}`;
    };

    // One after the other, as each goes by the version that the one before has made.
    let saving = Promise.resolve();
    const save = item => {
        const rank = items().indexOf(item);
        saving = saving.then(() => problem.hidden && send(item, rank)).catch(error => {
            alarm(`The order is not saved: ${error.message}.`);
        });
    };

    // --- moving: always the neighbour, so that the item keeps focus and pointer -------------------
    const shift = (item, step) => {
        const neighbour = step < 0 ? item.previousElementSibling : item.nextElementSibling;
        if (!neighbour) return false;
        if (step < 0) item.after(neighbour); else item.before(neighbour);
        return true;
    };
    const shiftTo = (item, rank) => {
        const step = Math.sign(rank - items().indexOf(item));
        while (items().indexOf(item) !== rank && shift(item, step));
    };

    let lifted = null; // { item, from }
    const lift = item => {
        lifted = { item, from: items().indexOf(item) };
        item.classList.add("lifted");
        item.querySelector(".handle").setAttribute("aria-pressed", "true");
    };
    const lower = () => {
        const { item, from } = lifted;
        lifted = null;
        item.classList.remove("lifted");
        item.querySelector(".handle").setAttribute("aria-pressed", "false");
        return { item, from };
    };
    const drop = () => {
        const { item, from } = lower();
        if (items().indexOf(item) === from) say(`Dropped where it was, ${place(item)}.`);
        else save(item);
    };
    const putBack = () => {
        const { item, from } = lower();
        shiftTo(item, from);
        say(`Put back, ${place(item)}.`);
    };

    // --- by keyboard ----------------------------------------------------------------------------
    const STEPS = { ArrowUp: -1, ArrowDown: 1 };
    const pressed = event => {
        const handle = event.target.closest(".handle");
        if (!handle) return;
        const item = handle.closest(".composer-item");
        if (event.key === " " || event.key === "Enter") {
            event.preventDefault();
            if (lifted) { drop(); return; }
            lift(item);
            say(`Lifted ${place(item)}.`);
        } else if (lifted && event.key in STEPS) {
            event.preventDefault();
            if (shift(item, STEPS[event.key])) item.scrollIntoView({ block: "nearest" });
            say(`Now ${place(item)}.`);
        } else if (lifted && event.key === "Escape") {
            event.preventDefault();
            putBack();
        }
    };

    // --- by mouse, pen or finger ----------------------------------------------------------------
    const EDGE = 60; // pixels of the window within which the page scrolls along
    const grabbed = event => {
        const handle = event.target.closest(".handle");
        if (!handle || event.button !== 0) return;
        if (lifted) putBack();
        const item = handle.closest(".composer-item");
        lift(item);
        handle.setPointerCapture(event.pointerId);
        const follow = moved => {
            if (moved.clientY < EDGE) window.scrollBy(0, -EDGE / 2);
            if (moved.clientY > window.innerHeight - EDGE) window.scrollBy(0, EDGE / 2);
            const middle = other => {
                const box = other.getBoundingClientRect();
                return box.top + box.height / 2;
            };
            let before = item.previousElementSibling, after = item.nextElementSibling;
            while (before && moved.clientY < middle(before)) {
                shift(item, -1);
                before = item.previousElementSibling;
            }
            while (after && moved.clientY > middle(after)) {
                shift(item, 1);
                after = item.nextElementSibling;
            }
        };
        const ended = end => {
            handle.removeEventListener("pointermove", follow);
            handle.removeEventListener("pointerup", ended);
            handle.removeEventListener("pointercancel", ended);
            if (!lifted) return; // Escape has put it back
            if (end.type === "pointerup") drop(); else putBack();
        };
        handle.addEventListener("pointermove", follow);
        handle.addEventListener("pointerup", ended);
        handle.addEventListener("pointercancel", ended);
    };

    // --- by one press of a button ---------------------------------------------------------------
    const submitted = event => {
        const button = event.submitter;
        if (!button || !["up", "down", "lead"].includes(button.value)) return;
        event.preventDefault();
        const item = button.closest(".composer-item");
        const moved = button.value === "lead" ? items().indexOf(item) > 0
            : Boolean(shift(item, Number(button.dataset.step)));
        if (button.value === "lead") shiftTo(item, 0);
        if (!moved) return;
        save(item);
        // At an end of the list the button is not there any more.
        if (button.offsetParent) button.focus(); else item.querySelector(".handle").focus();
    };

    if (list) {
        list.addEventListener("keydown", pressed);
        list.addEventListener("pointerdown", grabbed);
        list.addEventListener("submit", submitted);
        list.addEventListener("focusout", event => {
            if (lifted && event.target.matches(".handle[aria-pressed=true]")
                && event.relatedTarget !== event.target && document.hasFocus()) putBack();
        });
    }

    // --- subject and preheader ------------------------------------------------------------------
    const inbox = page.querySelector(".inbox");
    const warnings = document.getElementById("subject-warnings");
    const warn = (typed, count) => {
        const length = [...typed].length;
        const said = [];
        if (length > Number(count.dataset.over)) said.push(`Long: ${length} characters.`);
        if (typed && typed.toLowerCase() === count.dataset.last.toLowerCase()) {
            said.push("The last edition had the same subject.");
        }
        warnings.replaceChildren(...said.map(words => {
            const line = document.createElement("li");
            line.textContent = words;
            return line;
        }));
    };
    page.querySelectorAll(".count").forEach(count => {
        const name = count.dataset.counts;
        const field = page.querySelector(`[name=${name}]`);
        const show = () => {
            const typed = field.value.trim();
            count.textContent = `${[...typed].length} characters`;
            const shown = typed || inbox.dataset[name];
            page.querySelectorAll(`.shown-${name}`).forEach(each => { each.textContent = shown; });
            if (name === "subject") warn(shown, count);
        };
        field.addEventListener("input", show);
        page.querySelectorAll(`[data-fills=${name}]`).forEach(button => {
            button.addEventListener("click", event => {
                event.preventDefault();
                field.value = button.value;
                field.focus();
                show();
            });
        });
    });
})();
