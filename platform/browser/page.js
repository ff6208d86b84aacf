({ // what a test needs to know about the page; evaluated as one expression
  // The point to press for selector, or why there is none yet. A person can't press what is not
  // shown, is switched off, or lies under something else.
  locate(selector) {
    const found = [...document.querySelectorAll(selector)]
    const e = found.find(e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}))
    if (!e) return {why: found.length ? "it is hidden" : "there is none"}
    if (e.disabled || e.getAttribute("aria-disabled") === "true") return {why: "it is disabled"}
    e.scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"})
    const r = e.getBoundingClientRect()
    if (!r.width || !r.height) return {why: "it has no size"}
    const x = Math.min(Math.max(r.x + r.width / 2, 1), innerWidth - 1)
    const y = Math.min(Math.max(r.y + r.height / 2, 1), innerHeight - 1)
    const hit = document.elementFromPoint(x, y)
    if (!hit || !(e.contains(hit) || [...e.labels ?? []].some(l => l.contains(hit)))) {
      return {why: `it is covered by ${hit ? hit.outerHTML.slice(0, 120) : "nothing: it is outside the screen"}`}
    }
    return {x, y}
  },

  // The types that a person fills with a picker of the browser's; they take no typed text.
  hasPicker(selector) {
    const e = document.querySelector(selector)
    return e.tagName === "SELECT" || ["date", "time", "color", "range", "month", "week"].includes(e.type)
  },

  // What such a picker does when a value is picked.
  pick(selector, value) {
    const e = document.querySelector(selector)
    const proto = e.tagName === "SELECT" ? HTMLSelectElement.prototype : HTMLInputElement.prototype
    Object.getOwnPropertyDescriptor(proto, "value").set.call(e, value)
    e.dispatchEvent(new Event("input", {bubbles: true}))
    e.dispatchEvent(new Event("change", {bubbles: true}))
    return e.value === value
  },

  selectAll(selector) {
    const e = document.querySelector(selector)
    e.focus()
    if (e.select) e.select()
    else getSelection().selectAllChildren(e)
    return true
  },

  // What has the keyboard, for a person who reads a failed test.
  focused() {
    const e = document.activeElement
    if (!e || e === document.body) return ""
    return e.outerHTML.replace(/(?<=>)[^]*/, "").slice(0, 200) + (e.textContent || "").trim().slice(0, 60)
  },

  expectClick() {
    window.clickSeen = false
    addEventListener("click", () => { window.clickSeen = true }, {capture: true, once: true})
    return true
  },

  // What the page was about to draw is drawn.
  async frames() {
    for (let i = 0; i < 2; i++) await new Promise(done => requestAnimationFrame(done))
    return true
  },

  // How wide the page is, once fonts and pictures are there and what they changed is drawn.
  async settled() {
    if (document.readyState !== "complete") await new Promise(done => addEventListener("load", done))
    const pictures = [...document.images].filter(i => i.loading !== "lazy").map(i => i.decode().catch(() => {}))
    await Promise.all([document.fonts.ready, ...pictures])
    await this.frames()
    return document.documentElement.scrollWidth
  },
})