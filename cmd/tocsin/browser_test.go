package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"tocsin/internal/testkit"
)

// browser is a Chromium of its own, with its complaints: requests that the policy of a page (CSP) blocked, and errors
// of scripts.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string // where serve is
	// issuer is where people sign in, besides; "" = nowhere.
	issuer string

	mu         sync.Mutex
	complaints []string
	foreign    []string // requests to other hosts
}

// browsing lets one browser run at a time: each wants all of a small machine.
var browsing sync.Mutex

// browse starts a browser of a reader in Amsterdam, who prefers a language. Where there is no Chromium, make test goes
// without.
func (s *system) browse(lang string) *browser {
	t := s.t
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil && !testkit.All() {
		t.Skip("there is no chromium here: make test-all installs it, and opens the console in it")
	}
	browsing.Lock()
	t.Cleanup(browsing.Unlock)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(testkit.Program(t, "chromium")), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("accept-lang", lang), chromedp.Flag("lang", lang), chromedp.WindowSize(1280, 800))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	for _, e := range s.env {
		if u, ok := strings.CutPrefix(e, "TOCSIN_URL="); ok { // the last one counts
			b.base = u
		}
	}
	if err := chromedp.Run(ctx); err != nil { // the browser lasts as long as the context of its first run
		t.Fatal(err)
	}
	chromedp.ListenTarget(ctx, b.hear)
	b.do(cdplog.Enable(), network.Enable(), emulation.SetTimezoneOverride("Europe/Amsterdam"))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.complaints)+len(b.foreign) > 0 {
			t.Errorf("the browser complains: %q; it asks other hosts: %q", b.complaints, b.foreign)
		}
	})
	return b
}

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		if e.Entry.Source == cdplog.SourceSecurity || e.Entry.Source == cdplog.SourceViolation || e.Entry.Source == cdplog.SourceJavascript {
			b.complaints = append(b.complaints, e.Entry.Text)
		}
	case *cdpruntime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Error())
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, b.base) && (b.issuer == "" || !strings.HasPrefix(u, b.issuer)) && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "data:") {
			b.foreign = append(b.foreign, u)
		}
	}
}

func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 45*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.picture("failed")
		b.t.Fatalf("%v\nthe page: %s", err, b.text())
	}
}

func (b *browser) open(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.base + path)) }

// script lets pages run scripts, or not.
func (b *browser) script(on bool) { b.t.Helper(); b.do(emulation.SetScriptExecutionDisabled(!on)) }

// press clicks on the first element of a selector, and waits until another one is there, as on the page behind.
func (b *browser) press(button, behind string) {
	b.t.Helper()
	b.wait("document.querySelector(" + jsText(button) + ") !== null")
	ctx, cancel := context.WithTimeout(b.ctx, 45*time.Second)
	defer cancel()
	for err := chromedp.Run(ctx, chromedp.Click(button, chromedp.ByQuery)); err != nil; err = chromedp.Run(ctx, chromedp.Click(button, chromedp.ByQuery)) {
		if !strings.Contains(err.Error(), "Could not find node") { // a live part took its place
			b.picture("failed")
			b.t.Fatalf("%v\nthe page: %s", err, b.text())
		}
	}
	b.wait("document.querySelector(" + jsText(behind) + ") !== null")
}

// fill replaces the text of a field.
func (b *browser) fill(field, text string) {
	b.t.Helper()
	b.do(chromedp.Clear(field, chromedp.ByQuery), chromedp.SendKeys(field, text, chromedp.ByQuery))
}

// wantText waits until the page has a text.
func (b *browser) wantText(text string) {
	b.t.Helper()
	b.wait(pageText + ".includes(" + jsText(text) + ")")
}

// pageText is the text of a page as it is seen, with single blanks.
const pageText = `document.body.innerText.replace(/\s+/g, ' ')`

func (b *browser) text() (text string) {
	_ = chromedp.Run(b.ctx, chromedp.Evaluate(pageText, &text)) // it is for the report of a failure
	return text
}

// wait waits until an expression of JavaScript holds, over pages that come and go.
func (b *browser) wait(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var holds bool
		if err := chromedp.Run(ctx, chromedp.Evaluate("document.readyState === 'complete' && "+expression, &holds)); err == nil && holds {
			return
		}
		select {
		case <-ctx.Done():
			b.picture("failed")
			b.t.Fatalf("it does not come to this: %s\nthe page: %s", expression, b.text())
		case <-tick.C:
		}
	}
}

func jsText(text string) string {
	js, _ := json.Marshal(text) // no error: it is text
	return string(js)
}

// evaluate returns the value of a JavaScript expression, which may be a promise.
func (b *browser) evaluate(expression string, into any) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, into, awaitPromise))
}

func awaitPromise(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams {
	return p.WithAwaitPromise(true)
}

// scheme is light or dark.
func (b *browser) scheme(name string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}})
}

// accessible reports violations of WCAG 2.2 AA that axe-core finds on the page, light and dark. The debugger brings axe
// into the page: the page's policy stays as it is. make test-all fetches axe, and names its file.
func (b *browser) accessible(page string) {
	b.t.Helper()
	axe, err := os.ReadFile(os.Getenv("TOCSIN_TEST_AXE"))
	if err != nil {
		b.t.Logf("%s is NOT CHECKED by axe-core: make test-all fetches it where npm is", page)
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		var violations []string
		b.do(b.scheme(scheme), chromedp.Evaluate(string(axe)+"; 0", nil))
		b.evaluate(`axe.run(document, {iframes: false, runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}})
			.then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + v.help + ': ' + n.html)))`, &violations)
		for _, v := range violations {
			b.t.Errorf("%s, %s: %s", page, scheme, v)
		}
	}
	b.do(b.scheme("light"))
}

// framesDrawn waits until the frame of a page is drawn by its process, which does that only where it is seen.
const framesDrawn = `new Promise((drawn) => {
	const frame = document.querySelector('iframe')
	frame?.scrollIntoView()
	setTimeout(() => requestAnimationFrame(drawn), frame ? 500 : 0)
})`

// picture keeps the page as TOCSIN_TEST_PICTURES/NAME.png, where that is set: wide, dark, and narrow.
func (b *browser) picture(name string) {
	dir := os.Getenv("TOCSIN_TEST_PICTURES")
	if dir == "" {
		return
	}
	for _, how := range []struct {
		suffix, scheme string
		width          int64
	}{{"", "light", 1280}, {"-dark", "dark", 1280}, {"-narrow", "light", 360}} {
		var png []byte
		err := chromedp.Run(b.ctx, b.scheme(how.scheme), chromedp.EmulateViewport(how.width, 800),
			chromedp.Evaluate(framesDrawn, nil, awaitPromise), chromedp.FullScreenshot(&png, 100))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+how.suffix+".png"), png, 0o644)
		}
		if err != nil {
			b.t.Logf("no picture: %v", err)
		}
	}
	_ = chromedp.Run(b.ctx, b.scheme("light"), chromedp.EmulateViewport(1280, 800)) // the next page is pictured all the same
}
