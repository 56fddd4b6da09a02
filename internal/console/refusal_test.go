package console

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tocsin/internal/notice"
)

// metByForms are the files with refusals that a page or a form of the console can meet: all of them but unmet.
var metByForms = []string{"*.go", "../ledger/user.go", "../ledger/user_session.go", "../ledger/token.go", "../ledger/added.go", "../ledger/approve.go", "../ledger/kept.go",
	"../ledger/brake.go", "../ledger/summary.go", "../ledger/status.go", "../control/added.go", "../control/suppressing.go", "../notice/user.go", "../notice/token.go", "../notice/approval.go"}

// unmet are forms that no page shows: the pages for a link, a session, a password and an address have a text of their own.
var unmet = map[string]bool{"this link was used before, or has expired": true, "there is no such session": true,
	"has less than 12 characters": true, "is longer than 512 bytes": true, "%s": true, "%v": true}

// formsIn are the forms of the refusals in files.
func formsIn(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	forms := map[string]string{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(strings.TrimSuffix(file, ".go"), "_test") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if form, ok := formOf(call); ok {
						forms[form] = file
					}
				}
				return true
			})
		}
	}
	return forms
}

// formOf is the form of a refusal that a call makes.
func formOf(call *ast.CallExpr) (string, bool) {
	at, name := 0, ""
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && (x.Name == "notice" || f.Sel.Name == "Wrong") {
			name = f.Sel.Name
		}
	case *ast.Ident:
		name = f.Name
	}
	switch name {
	case "Invalid", "bad":
		at = 1
	case "Wrong", "Conflict", "NotFound":
	default:
		return "", false
	}
	return literal(call.Args[at])
}

// literal is a text that the source has, perhaps in several pieces.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, too := literal(e.Y)
		return left + right, ok && too
	}
	return "", false
}

func TestEveryRefusalThatAFormCanMeetHasAText(t *testing.T) {
	t.Parallel()
	met := formsIn(t, metByForms...)
	if len(met) < 30 {
		t.Errorf("%d refusals were found", len(met))
	}
	for form, file := range met {
		if refusals[form] == "" && !unmet[form] {
			t.Errorf("%s refuses with %q, which has no text", file, form)
		}
	}
	everywhere := formsIn(t, "*.go", "../ledger/*.go", "../control/*.go", "../notice/*.go", "../directory/*.go", "../render/*.go")
	for form, name := range refusals {
		if _, ok := everywhere[form]; !ok {
			t.Errorf("%s is the text of %q, with which nothing refuses", name, form)
		}
	}
}

func TestARefusalIsInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	f := &Frame{Lang: "de", Zone: time.UTC, words: readWords().of["de"], print: message.NewPrinter(language.German)}
	for _, tt := range []struct {
		err  error
		want Refusal
	}{
		{notice.NotFound("there is no notice %q", "outage-1"), Refusal{"Es gibt keine Meldung outage-1.", ""}},
		{notice.NotFound("notice %s has no delivery %d", "outage-1", 9), Refusal{"Meldung outage-1 hat keine E-Mail 9 mehr.", ""}},
		{fmt.Errorf("act: %w", notice.Conflict("notice %q is %s and has no recipients yet: change the customer's address", "n", notice.Scheduled)),
			Refusal{"Meldung n ist im Zustand Geplant und hat noch keine Empfänger. Ändern Sie stattdessen die Adresse des Kunden.", ""}},
		{notice.Conflict("with one more, notice %q goes to %d, and from that on another person has to approve it: send a notice of its own to that address", "n", 2000),
			Refusal{"Mit einer mehr geht Meldung n an 2.000; ab da muss jemand anderes zustimmen. Senden Sie an diese Adresse eine eigene Meldung.", ""}},
		{notice.Conflict("notice %q was cancelled (%s): nothing more of it is sent", "n", "expired"),
			Refusal{"Meldung n wurde abgebrochen: Von ihr wird nichts mehr gesendet.", `notice "n" was cancelled (expired): nothing more of it is sent`}},
		{notice.Invalid("texts.en.body:3", "has no field %s", "x"), Refusal{"Etwas an der Eingabe stimmt nicht.", "texts.en.body:3: has no field x"}},
		{&notice.Error{Code: notice.CodePlanChanged, Message: "changed"}, Refusal{f.T("refused.plan_changed"), "changed"}},
		{errors.New("the disk is full"), Refusal{}},
	} {
		if got := f.refusal(tt.err); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.err, got, tt.want)
		}
	}
	// Every text takes the arguments of its form, in every language.
	for lang, texts := range readWords().of {
		f.words = texts
		for form := range refusals {
			args := make([]any, strings.Count(form, "%"))
			for i := range args {
				args[i] = "x"
			}
			if got := f.refusal(notice.Conflict(form, args...)); got.Text == "" || strings.Contains(got.Text, "%") {
				t.Errorf("%s: %q is %q", lang, form, got.Text)
			}
		}
	}
}

// TestAPageThatIsRefusedSaysWhyOnce: a path that is no page has one reason, and its text says it. A role has another word on it in English.
func TestAPageThatIsRefusedSaysWhyOnce(t *testing.T) {
	t.Parallel()
	c := New(Options{Log: slog.New(slog.DiscardHandler)})
	for status, said := range map[int]bool{http.StatusNotFound: false, http.StatusMethodNotAllowed: false, http.StatusForbidden: true, http.StatusServiceUnavailable: true} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://127.0.0.1/nowhere", nil)
		r.Header.Set("Accept-Language", "de")
		c.Refuse(w, r, status, "the detail of it")
		if page := w.Body.String(); w.Code != status || strings.Contains(page, "the detail of it") != said || !strings.Contains(page, readWords().of["de"]["error.title"]) {
			t.Errorf("%d, want %d with the detail %t: %s", w.Code, status, said, page)
		}
	}
}
