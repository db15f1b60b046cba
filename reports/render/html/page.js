"use strict";
// Everything that is to be read stands in the page already; this filters, opens, copies and reads values off charts.
(() => {
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  const one = (selector) => document.querySelector(selector);

  // What is linked to is opened, whether the link was in the page or came from outside.
  const reveal = () => {
    let wanted = "";
    try { wanted = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const place = wanted && document.getElementById(wanted);
    if (!place) return;
    for (let at = place; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
      if (at.hidden) at.hidden = false;
    }
    const inner = place.closest("details");
    (inner ? inner.querySelector("summary") : place).scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", reveal);

  const tools = one("#tools");
  if (tools) {
    tools.hidden = false;
    const rules = all(".rule").map((rule) => ({
      rule,
      findings: all(".finding", rule),
      text: rule.textContent.toLowerCase(),
      texts: null,
    }));
    const headings = all(".area");
    const search = one("#search"), area = one("#area"), wanted = one("#function"), seen = one("#seen");
    const chips = all("button[data-verdict]", tools);
    const none = one("#none");
    const apply = () => {
      const verdicts = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.verdict));
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0, found = 0;
      for (const entry of rules) {
        const { rule, findings } = entry;
        const of = rule.dataset;
        let good = verdicts.has(of.verdict) && (!area.value || of.area === area.value)
          && words.every((word) => entry.text.includes(word));
        if (good && findings.length && (words.length || wanted.value)) {
          // A rule whose own words match is shown whole; else only those of its findings that do.
          entry.texts = entry.texts || findings.map((finding) =>
            `${finding.closest(".group").firstElementChild.textContent} ${finding.textContent}`.toLowerCase());
          const head = rule.querySelector(".about").textContent.toLowerCase();
          const whole = words.every((word) => head.includes(word));
          let left = 0;
          findings.forEach((finding, n) => {
            const fits = (!wanted.value || finding.dataset.function === wanted.value)
              && (whole || words.every((word) => entry.texts[n].includes(word) || head.includes(word)));
            finding.hidden = !fits;
            left += fits;
          });
          good = left > 0;
        } else {
          for (const finding of findings) finding.hidden = false;
          if (wanted.value) good = good && findings.length > 0;
        }
        for (const group of all(".group", rule)) group.hidden = all(".finding:not([hidden])", group).length === 0;
        rule.hidden = !good;
        shown += good;
        if (good) found += findings.filter((finding) => !finding.hidden).length;
      }
      for (const heading of headings) {
        let next = heading.nextElementSibling, any = false;
        while (next && next.classList.contains("rule")) { any = any || !next.hidden; next = next.nextElementSibling; }
        heading.hidden = !any;
      }
      none.hidden = shown > 0;
      seen.textContent = `${shown} of ${rules.length} rules, ${found} ${found === 1 ? "finding" : "findings"}`;
    };
    let waiting = 0;
    search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 90); });
    area.addEventListener("change", apply);
    wanted.addEventListener("change", apply);
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        apply();
      });
    }
    one("#clear").addEventListener("click", () => {
      search.value = area.value = wanted.value = "";
      for (const chip of chips) chip.setAttribute("aria-pressed", "true");
      apply();
      search.focus();
    });
    one("#expand").addEventListener("click", (event) => {
      const open = event.currentTarget.dataset.open !== "yes";
      for (const entry of rules) if (!entry.rule.hidden) entry.rule.open = open;
      event.currentTarget.dataset.open = open ? "yes" : "no";
      event.currentTarget.textContent = open ? "Close all" : "Open all";
    });
    addEventListener("keydown", (event) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName || "");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); search.focus(); }
    });
    apply();
  }

  // From file: and in a frame the clipboard may be closed to us; a selection still lets a person copy.
  const heard = one("#heard");
  const showState = (button, text) => {
    const before = button.dataset.name || (button.dataset.name = button.textContent);
    button.textContent = text;
    if (heard) heard.textContent = text;
    setTimeout(() => { button.textContent = before; if (heard) heard.textContent = ""; }, 1600);
  };
  for (const button of all("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.of);
      try {
        await navigator.clipboard.writeText(source.textContent);
        showState(button, "Copied");
      } catch {
        const range = document.createRange();
        range.selectNodeContents(source);
        const selection = getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        let copied = false;
        try { copied = document.execCommand("copy"); } catch { copied = false; }
        showState(button, copied ? "Copied" : "Selected: press Ctrl+C");
      }
    });
  }

  for (const figure of all(".chart[data-chart]")) {
    const svg = figure.querySelector("svg.plot"), readout = figure.querySelector(".readout");
    let chart = null;
    try { chart = JSON.parse(figure.dataset.chart); } catch { continue; }
    const cursor = svg.querySelector(".cursor");
    let at = -1;
    const show = (n) => {
      at = Math.max(0, Math.min(chart.at.length - 1, n));
      const x = chart.x[at];
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.setAttribute("visibility", "visible");
      readout.textContent = chart.at[at] + ": " + chart.series.map((each) => `${each.name} ${each.texts[at]}`).join(" · ");
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) * chart.width / box.width;
      let best = 0;
      chart.x.forEach((place, n) => { if (Math.abs(place - x) < Math.abs(chart.x[best] - x)) best = n; });
      show(best);
    });
    svg.addEventListener("pointerleave", () => cursor.setAttribute("visibility", "hidden"));
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, PageUp: -10, PageDown: 10 }[event.key];
      if (step) { event.preventDefault(); show(at + step); }
    });
  }
  reveal();
})();
