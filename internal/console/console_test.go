package console

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tocsin/internal/notice"
	"tocsin/internal/oidc"
)

// views are the view of each page, and its live parts.
var views = map[string]struct {
	view  view
	parts []string
}{
	"home": {&homeView{}, []string{"notices"}}, "notice": {&noticeView{}, []string{"standing"}}, "incident": {&incidentView{}, []string{"standing"}}, "now": {&nowView{}, []string{"now"}}, "mail": {&mailView{}, []string{"standing"}}, "another": {&anotherView{}, nil}, "mails": {&mailsView{}, nil}, "search": {&searchView{}, nil},
	"acts": {&actsView{}, nil}, "queues": {&queuesView{}, []string{"queues"}}, "access": {&accessView{}, nil}, "sign_in": {&signInView{}, nil},
	"account": {&accountView{}, nil}, "error": {&errorView{}, nil}, "composing": {&composingView{}, nil}, "compose": {&composeView{}, nil}, "preview": {&previewView{}, []string{"bare"}},
	"cancel": {&cancelView{}, nil}, "check": {&checkView{}, nil},
	"settings": {&settingsView{}, nil}, "suppressions": {&suppressionsView{}, nil}, "templates": {&templatesView{}, nil},
}

// fill puts something into each field, two elements into each list.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 9, 3, 14, 7, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type().Field(i).Type != reflect.TypeFor[*Frame]() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("<b>&x")
	case reflect.Int, reflect.Int64, reflect.Int16, reflect.Int32:
		v.SetInt(3)
	case reflect.Float64:
		v.SetFloat(3)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// dataKinds are kinds of words for codes that come from elsewhere: from the ledger, the fields of notice.yaml, templates and phrases. A code is shown as it is
// where it has no name.
var dataKinds = []string{"act", "event", "field", "hint", "severity", "template", "stacked", "audience_at", "impact", "method", "contact", "aim", "op", "join", "parameter", "slot", "phrase"}

func TestEveryPageIsMadeOfNothingAndOfEverything(t *testing.T) {
	t.Parallel()
	all := readWords()
	pages := parsePages()
	for name, p := range pages {
		if _, ok := views[name]; !ok {
			t.Errorf("there is no view of page %s", name)
			continue
		}
		for lang, texts := range all.of {
			for _, full := range []bool{false, true} {
				v := reflect.New(reflect.TypeOf(views[name].view).Elem())
				frame := &Frame{Lang: lang, Person: person{"ada", notice.RoleAdmin}, Zone: time.UTC, Now: time.Now(), words: texts, print: message.NewPrinter(language.English)}
				if full {
					fill(v.Elem())
				}
				v.Elem().FieldByName("Frame").Set(reflect.ValueOf(frame))
				for _, part := range append([]string{"layout"}, views[name].parts...) {
					var out bytes.Buffer
					if err := p.ExecuteTemplate(&out, part, v.Interface()); err != nil {
						t.Errorf("%s of %s in %s, full %t: %v", part, name, lang, full, err)
					}
					if strings.Contains(out.String(), "<b>&x") || strings.Contains(out.String(), "%!") {
						t.Errorf("%s of %s in %s, full %t: %s", part, name, lang, full, out.String())
					}
				}
			}
		}
	}
	// Zero values all the way: no frame at all must break no page.
	var f *Frame
	if f.T("x") != "x" || f.N(3) != "3" || f.When(time.Now()) != "–" {
		t.Error("without a frame")
	}
}

// reasons are those that the ledger gives.
var reasons = []string{notice.ReasonNoAddress, notice.ReasonUnreachable, notice.ReasonSuppressionList, notice.ReasonOnlyTo, notice.ReasonCancelled,
	notice.ReasonExpired, notice.ReasonSuperseded, notice.ReasonAmended, notice.ReasonAdded, notice.ReasonErased, notice.ReasonReachedByNeither, notice.ReasonRestored, notice.ReasonCanary, notice.ReasonHole,
	notice.ReasonUnsendable, notice.ReasonTooLong, notice.ReasonRetried, string(notice.Alternate), "refused",
	notice.ExcludedByList, notice.ExcludedByNotice, notice.ExcludedByFilter, notice.UnknownCustomer}

var verb = regexp.MustCompile(`%[a-z%]`)

// TestTheNoticesPageSaysWhatCameBack in the reader's words and numbers, and nothing where nothing did.
func TestTheNoticesPageSaysWhatCameBack(t *testing.T) {
	t.Parallel()
	page, texts := parsePages()["notice"], readWords().of["de"]
	v := &noticeView{Frame: &Frame{Lang: "de", Zone: time.UTC, Now: time.Now(), words: texts, print: message.NewPrinter(language.German)}}
	var html bytes.Buffer
	if err := page.ExecuteTemplate(&html, "standing", v); err != nil || strings.Contains(html.String(), texts["bounces.title"]) {
		t.Errorf("where nothing came back: %v, %s", err, html.String())
	}
	v.Bounces = notice.NewBounces(map[string]int{"policy": 1_200, "full": 3, "complaint": 2}, []string{"mx.gmail.com"}, map[string]int{"sent": 8_797, "bounced": 1_203})
	v.Bounces.ListDomains(map[string]map[string]int{"mx.gmail.com": {"policy": 1_200, "complaint": 2}, "": {"full": 3}})
	v.Bounces.ByDomain[0].Mails = 9_999
	v.Classes = []string{"full", "policy"}
	html.Reset()
	if err := page.ExecuteTemplate(&html, "standing", v); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1.203 kamen zurück (12 % derer, die ein Relay annahm); Beschwerden: 2.", texts["bounces.policy"] + "</strong> mx.gmail.com",
		`<th scope="row">mx.gmail.com</th><td class="n">9.999</td><td class="n">0</td><td class="n">1.200</td><td class="n">2</td>`, texts["bounces.erased"], texts["bounce.full"]} {
		if !strings.Contains(html.String(), want) {
			t.Errorf("%q is not in %s", want, html.String())
		}
	}
}

func TestEveryLanguageHasEveryText(t *testing.T) {
	t.Parallel()
	all := readWords().of
	english := all["en"]
	for lang, texts := range all {
		for name, text := range english {
			if texts[name] == "" || strings.Join(verb.FindAllString(text, -1), "") != strings.Join(verb.FindAllString(texts[name], -1), "") {
				t.Errorf("%s has %q for %s, English %q", lang, texts[name], name, text)
			}
		}
		for name := range texts {
			if _, ok := english[name]; !ok {
				t.Errorf("%s has %s, English lacks it", lang, name)
			}
		}
	}
	used := map[string]bool{}
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") }) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`"([a-z_]+\.[a-z_]*[a-z])"`).FindAllStringSubmatch(string(text), -1) {
				used[m[1]] = true
			}
		}
	}
	for _, s := range notice.DeliveryStates {
		used["state."+s.String()] = true
	}
	for _, s := range []notice.State{notice.Draft, notice.Scheduled, notice.Sending, notice.Paused, notice.Held, notice.Sent, notice.Cancelled} {
		used["state."+string(s)] = true
	}
	for _, c := range notice.BounceClasses {
		used["bounce."+string(c)] = true
	}
	for _, k := range notice.Kinds {
		used["kind."+string(k)] = true
		for _, phase := range notice.Phases[k] {
			used["phase."+phase] = true
		}
	}
	for _, p := range []notice.Proof{notice.ProofSame, notice.ProofDiffers, notice.ProofNone, notice.ProofNotSent, notice.ProofNoMail, notice.ProofErased} {
		used["proof."+string(p)] = true
	}
	for _, why := range []string{notice.BrakeDisagree, notice.BrakeNoWorker, notice.BrakePaused, notice.BrakeSilent, notice.BrakeUnreachable} {
		used["brake."+why] = true
	}
	for _, why := range []string{notice.ForecastWorkers, notice.ForecastRelays, notice.ForecastDomain, notice.ForecastQuota, notice.ForecastNoWorker, notice.ForecastHold} {
		used["forecast."+why] = true
	}
	for _, of := range []string{notice.LimitSet, notice.LimitFile, notice.LimitLearnt} {
		used["limit."+of] = true
	}
	for _, scope := range notice.Scopes {
		used["scope."+string(scope)] = true
	}
	for _, state := range []string{notice.RelayUp, notice.RelayResting, notice.RelaySilent, notice.RelayUsedUp, notice.RelayAtRest} {
		used["relay."+state] = true
	}
	for _, form := range mailForms {
		used["form."+form] = true
	}
	for _, reason := range reasons {
		used["reason."+reason] = true
	}
	for _, reason := range []string{oidc.ReasonState, oidc.ReasonIssuer, oidc.ReasonToken, oidc.ReasonRole, oidc.ReasonName} {
		used["sign_in.refused_"+reason] = true
	}
	for name := range english {
		if kind, _, _ := strings.Cut(name, "."); slices.Contains(dataKinds, kind) {
			used[name] = true
		}
	}
	for name := range used {
		if _, ok := english[name]; !ok && !strings.HasSuffix(name, ".html") && !strings.HasSuffix(name, ".md") && !strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, ".json") {
			t.Errorf("%s is used, and is no text", name)
		}
	}
	for name := range english {
		if !used[name] {
			t.Errorf("%s is used nowhere", name)
		}
	}
}

func TestTheLanguageIsTheReaders(t *testing.T) {
	t.Parallel()
	all := readWords()
	for accept, want := range map[string]string{"": "en", "de-AT,de;q=0.9": "de", "nl": "nl", "fr-CA, en;q=0.2": "fr", "es-419": "es", "ja": "en", "ja, de;q=0.5": "de", ";;": "en"} {
		if _, got := all.match(accept); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
}

func TestAPasswordIsRecognised(t *testing.T) {
	t.Parallel()
	hash := hashPassword("correct horse battery")
	for _, tt := range []struct {
		password, hash string
		want           bool
	}{
		{"correct horse battery", hash, true},
		{"correct horse batterx", hash, false},
		{"", hash, false},
		{"", "", false},
		{"x", "", false},
		{"x", "$argon2id$v=19$m=1,t=1,p=1$$", false},
		{"x", "$2a$10$abcdefghijklmnopqrstuv", false},
	} {
		if got := isPassword(tt.password, tt.hash); got != tt.want {
			t.Errorf("%q of %q: %t", tt.password, tt.hash, got)
		}
	}
	if hashPassword("correct horse battery") == hash {
		t.Error("two hashes have the same salt")
	}
	for password, good := range map[string]bool{"elevenchars": false, "twelve chars": true, strings.Repeat("x", 513): false, "пароль длинный": true} {
		if (checkPassword(password) == nil) != good {
			t.Errorf("%q: %v", password, checkPassword(password))
		}
	}
}

func TestGuessesAreFew(t *testing.T) {
	t.Parallel()
	g, now := newGuesses(), time.Date(2026, 11, 9, 3, 0, 0, 0, time.UTC)
	g.now = func() time.Time { return now }
	tries := func(name, origin string) (n int) {
		for g.begin(name, origin) == 0 {
			n++
		}
		return n
	}
	if n := tries("ada", "192.0.2.1"); n != mostOfBoth {
		t.Errorf("one name from one place: %d tries", n)
	}
	if n := tries("ADA", "192.0.2.1"); n != 0 {
		t.Errorf("the same name in capitals: %d tries", n)
	}
	if n := tries("ada", "2001:db8::1"); n != mostOfBoth {
		t.Errorf("its owner elsewhere: %d tries", n)
	}
	if n := tries("ada", "2001:db8::2"); n != 0 {
		t.Errorf("another address of the same host: %d tries", n)
	}
	all := 0
	for name := 'a'; name <= 'z'; name++ {
		all += tries("x"+string(name), "192.0.2.9")
	}
	if all != mostFrom {
		t.Errorf("many names from one place: %d tries", all)
	}
	now = now.Add(guessSpan + time.Second)
	if g.begin("ada", "192.0.2.1") != 0 {
		t.Error("later there is no try")
	}
	for range 20 {
		if g.begin("eve", "192.0.2.7") != 0 {
			t.Fatal("right sign-ins count as guesses")
		}
		g.right("eve", "192.0.2.7")
	}
}

func TestNobodyIsSentElsewhere(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/notices/k?x=1": "/notices/k?x=1", "": "/", "https://evil.example/": "/", "//evil.example": "/",
		"/\\evil.example": "/", "javascript:alert(1)": "/", "/\t/evil.example": "/", "notices": "/"} {
		if got := local(path); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}

func TestACookieIsBoundToTLSButOnALoopbackAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host, proto string
		secure      bool
	}{
		{"127.0.0.1:8080", "", false}, {"localhost:8080", "", false}, {"[::1]:8080", "", false},
		{"tocsin.example.net", "", true}, {"127.0.0.1:8080", "https", true}, {"10.0.0.7:8080", "", true}, {"localhost.evil.example", "", true},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://"+tt.host+"/", nil)
		if tt.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tt.proto)
		}
		w := httptest.NewRecorder()
		keepSession(w, r, "secret")
		cookie := w.Result().Cookies()[0]
		if cookie.Secure != tt.secure || strings.HasPrefix(cookie.Name, "__Host-") != tt.secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s %s: %s", tt.host, tt.proto, cookie)
		}
		r.AddCookie(cookie)
		if sessionOf(r) != "secret" {
			t.Errorf("%s %s: the cookie is not found again", tt.host, tt.proto)
		}
	}
}
