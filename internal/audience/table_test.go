package audience

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestReadList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"bare ids", "C1\n  C2 \r\n\n\tC1\n", "C1/1 C2/2 C1/4"},
		{"a header alone names the column", "id\nC1\n", "C1/2"},
		{"other columns are ignored", "\ufeffname;ID;plan\nAnn;C1;gold\n\n\"B;\nb\";\"C\"\"2\";\n;C3;x\n", "C1/2 C\"2/4 C3/6"},
		{"a last line without an end", "id,name\nC1,x", "C1/2"},
		{"ids of digits", "007\n12\n", "007/1 12/2"},
		{"an empty file", "", "file: is empty"},
		{"a file of blank lines", "\n \n", "file: is empty"},
		{"a header without rows", "id\n", "file: names no customer"},
		{"columns without an id", "name,email\nAnn,a@x.example\n", "file: line 1 has several columns, and none of them is named id or customers"},
		{"a report", "address,customers,language\na@x.example,C1 C2,en\n(erased),,en\nb@x.example,\"\"\"A 7\"\" 'x \"\"a\"\"\"\"b,c\"\"\",en\nc@x.example,'-5 +6,en\n", "C1/2 C2/2 A 7/4 'x/4 a\"b,c/4 -5/5 +6/5"},
		{"a report with an open quote", "customers,x\nC1,y\n\"\"\"C2\",y\n", "line 3: opens a quote around an id that is never closed"},
		{"a row without an id", "id,name\nC1,Ann\n,Bob\n", "line 3: has no id"},
		{"a row that is too short", "id,name\nC1\n", "line 2: has 1 cells where the header has 2"},
		{"a stray quote", "id,name\nC1,\"Ann\nC2,Bob\n", "file: line 2 opens a quote that is never closed. Nothing of the file was kept: behind this place text can't be told from customers"},
		{"a control character", "C1\nC\x072\n", "line 2: holds the control character U+0007"},
		{"not UTF-8", "C1é\nC\xff\n", "line 2: is not UTF-8"},
		{"an id that is too long", strings.Repeat("x", 256) + "\n", "line 1: is longer than 255 bytes"},
		{"UTF-16", "\xff\xfei\x00d\x00\n\x00\xe9\x00", "é/2"},
	} {
		list, err := ReadList(strings.NewReader(c.file))
		var got []string
		for _, l := range list {
			got = append(got, fmt.Sprint(l.ID, "/", l.Line))
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
			if notice.CodeOf(err) != notice.CodeInvalid {
				t.Errorf("%s: %v is no domain error", c.name, err)
			}
		}
		if text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}

func TestReadSuppressions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"bare addresses", "A@x.example\n\nno-at\nb@B\u00fccher.example\n", "1:a@x.example=old | 3!address | 4:b@xn--bcher-kva.example=old | "},
		{"with reasons", "reason,x,address\nbounced,1,A@x.example\n,2,b@x.example\na@b.example,3,c@x.example\nmoved,4,\nlate\n",
			"2:a@x.example=bounced | 3:b@x.example=old | 4!reason | 5!address | 6! | "},
		{"patterns", "address\n*@x.example\n@x.example\n%@x.example\nbob*@x.example\n*.x.example\nb_b%@x.example\n",
			"2:*@x.example=old | 3!address | 4!address | 5!address | 6!address | 7:b_b%@x.example=old | "},
		{"domains", "*@X.Example\n *@B\u00fccher.example.\n*@*.x.example\n*@\n*@x\n*@x.example@y.example\n*\n",
			"1:*@x.example=old | 2:*@xn--bcher-kva.example=old | 3!address | 4!address | 5!address | 6!address | 7!address | "},
		{"scopes", "address,scope,reason\na@x.example,all,complaint\nb@x.example,not_urgent,\nc@x.example,ALL,\nd@x.example,,complaint\n",
			"2:a@x.example=complaint | 3:b@x.example=old/not_urgent | 4!scope | 5:d@x.example=complaint/not_urgent | "},
		{"SendGrid's bounces", "status,reason,email,created\n5.1.1,\"550 5.1.1 <a@x.example>: no\nsuch user\",A@x.example,1790083507\n" +
			"4.2.2,\"452 4.2.2 full\",b@x.example,1790083507\n,550 no,c@x.example,1790083507\n,450 later,d@x.example,1790083507\n",
			"2:a@x.example=bounced | 4!reason | 5:c@x.example=bounced | 6!reason | "},
		{"SendGrid's spam reports", "email,created\na@x.example,1790083507\n", "2:a@x.example=old | "},
		{"Mailgun's bounces", "address,code,error,created_at\na@x.example,550,see b@x.example,\"Fri, 21 Oct 2011 11:02:55 UTC\"\nb@x.example,421,,\nc@x.example,605,,\nd@x.example,,,\n",
			"2:a@x.example=bounced | 3!reason | 4:c@x.example=bounced | 5:d@x.example=bounced | "},
		{"Mailgun's unsubscribes", "address,tags,created_at\na@x.example,*,\n", "2:a@x.example=old | "},
		{"Postmark's", "EmailAddress,SuppressionReason,Origin,CreatedAt\na@x.example,HardBounce,Recipient,\nb@x.example,SpamComplaint,Recipient,\nc@x.example,ManualSuppression,Customer,\n",
			"2:a@x.example=bounced | 3:b@x.example=complaint/not_urgent | 4:c@x.example=request | "},
		{"SES's, with a header", "EmailAddress,Reason,LastUpdateTime\na@x.example,BOUNCE,\nb@x.example,COMPLAINT,\n", "2:a@x.example=bounced | 3:b@x.example=complaint/not_urgent | "},
		{"SES's, without", "a@x.example,BOUNCE\n\"b@x.example\",COMPLAINT\nc@x.example,\nd@x.example\n",
			"1:a@x.example=bounced | 2:b@x.example=complaint/not_urgent | 3:c@x.example=old | 4! | "},
		{"SES's as aws prints them", "a@x.example\tBOUNCE\nb@x.example\tCOMPLAINT\n", "1:a@x.example=bounced | 2:b@x.example=complaint/not_urgent | "},
		{"Mailchimp's cleaned contacts", "\"Email Address\",\"First Name\",CLEAN_TIME,CLEAN_CAMPAIGN_TITLE\nA@x.example,Ann,2026-01-02 03:04:05,News\n", "2:a@x.example=bounced | "},
		{"Mailchimp's unsubscribed contacts", "\"Email Address\",UNSUB_TIME,UNSUB_REASON\na@x.example,2026-01-02 03:04:05,SPAM\n", "2:a@x.example=request | "},
		{"Mandrill's", "Email,Reason,Detail\na@x.example,hard-bounce,smtp;550\nb@x.example,soft-bounce,\nc@x.example,spam,\nd@x.example,unsub,\ne@x.example,custom,\n",
			"2:a@x.example=bounced | 3!reason | 4:c@x.example=complaint/not_urgent | 5:d@x.example=request | 6:e@x.example=custom | "},
		{"columns without an address", "mail,reason\nx@x.example,y\n", "line 1 has several columns, and none of them is named address"},
	} {
		r, err := NewSuppressionReader(strings.NewReader(c.file), "old", "")
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			continue
		}
		var got string
		for {
			row, rejected, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if rejected != nil {
				got += fmt.Sprintf("%d!%s | ", rejected.Line, rejected.Column)
				continue
			}
			got += fmt.Sprintf("%d:%s=%s", row.Line, row.Key, row.Reason)
			if row.Scope != notice.ScopeAll {
				got += "/" + string(row.Scope)
			}
			got += " | "
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func FuzzReadList(f *testing.F) {
	f.Add("id,name\nC1,x\n")
	f.Add("C1\nC2\n")
	f.Add("name;\"id\"\n\"a\nb\";C1\n")
	f.Add("address,customers\n\"a@example.net\",\"C1 \"\"C 2\"\" '=3\"\n")
	f.Fuzz(func(t *testing.T, file string) {
		list, err := ReadList(strings.NewReader(file))
		if err == nil && len(list) == 0 {
			t.Error("neither ids nor an error")
		}
		last := 0
		for _, l := range list {
			if clean, reason := CheckListed(l.ID); clean != l.ID || reason != "" || l.Line < last {
				t.Errorf("id %q of line %d after line %d: %s", l.ID, l.Line, last, reason)
			}
			last = l.Line
		}
	})
}

// FuzzReadSuppressions: every row is either a suppression that can be kept and written down again, or rejected without its address.
func FuzzReadSuppressions(f *testing.F) {
	f.Add("address,reason,scope\n*@x.example,bounced,all\n")
	f.Add("a@x.example;COMPLAINT\n\"b@x.example\";\n")
	f.Add("status,reason,email\n4.2.2,\"full\n\",a@x.example\n")
	f.Fuzz(func(t *testing.T, file string) {
		r, err := NewSuppressionReader(strings.NewReader(file), "", "")
		for err == nil {
			var row notice.SuppressionRow
			var rejected *notice.Rejection
			row, rejected, err = r.Next()
			if err != nil || rejected != nil {
				continue
			}
			key, bad := ParseSuppressed(row.Key)
			reason, worse := CheckReason(row.Reason)
			if key != row.Key || reason != row.Reason || bad != nil || worse != nil || CheckScope(row.Scope) != nil {
				t.Errorf("%+v is read again as %q and %q: %v, %v", row, key, reason, bad, worse)
			}
		}
	})
}
