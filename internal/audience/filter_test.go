package audience

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	_ "time/tzdata" // the machine may have no zones

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func compare(name string, op notice.FilterOp, value string) notice.Filter {
	f := notice.Filter{Op: op, Field: name, Value: value}
	switch name {
	case "id", "name", "language", "time_zone":
	default:
		f.Attribute = true
	}
	return f
}

func number(name string, op notice.FilterOp, value string) notice.Filter {
	f := compare(name, op, value)
	f.Number = true
	return f
}

func node(op notice.FilterOp, args ...notice.Filter) notice.Filter {
	return notice.Filter{Op: op, Args: args}
}

func list(name string, values ...string) notice.Filter {
	f := compare(name, notice.FilterIn, "")
	f.Values = values
	return f
}

func numbers(name string, values ...string) notice.Filter {
	f := list(name, values...)
	f.Number = true
	return f
}

func TestParseFilter(t *testing.T) {
	t.Parallel()
	trial := compare("plan", "=", "trial")
	server := compare("server", "=", "s639")
	beta := compare("beta", ":", "*")
	for name, c := range map[string]struct {
		text string
		want notice.Filter
		form string
	}{
		"nothing is everybody":      {"", notice.Filter{}, ""},
		"blanks are everybody":      {" \n\t ", notice.Filter{}, ""},
		"a comparison":              {`server = "s639"`, server, `server = "s639"`},
		"no blanks needed":          {`server='s639'`, server, `server = "s639"`},
		"a column":                  {`name >= "M"`, compare("name", ">=", "M"), `name >= "M"`},
		"a qualified attribute":     {`attributes.server = "s639"`, server, `server = "s639"`},
		"a quoted attribute":        {`attributes."server" = "s639"`, server, `server = "s639"`},
		"an attribute like a word":  {`attributes.AND = "x"`, compare("AND", "=", "x"), `attributes.AND = "x"`},
		"lower case, before =":      {`or = "x"`, compare("or", "=", "x"), `attributes.or = "x"`},
		"an attribute attributes":   {`attributes.attributes = "x"`, compare("attributes", "=", "x"), `attributes.attributes = "x"`},
		"an attribute like name":    {`attributes.name = "x"`, notice.Filter{Op: "=", Field: "name", Attribute: true, Value: "x"}, `attributes.name = "x"`},
		"presence":                  {`beta:*`, beta, `beta:*`},
		"containment":               {`name:"bakery"`, compare("name", ":", "bakery"), `name:"bakery"`},
		"containment of a word":     {`name:bakery`, compare("name", ":", "bakery"), `name:"bakery"`},
		"a star is any text":        {`name = "Foo*"`, compare("name", "=", "Foo*"), `name = "Foo*"`},
		"a star alone is presence":  {`plan = "*" AND name != "**"`, node("AND", compare("plan", ":", "*"), node("NOT", compare("name", ":", "*"))), `plan:* AND NOT (name:*)`},
		"a star letter by letter":   {`name == "Foo*"`, compare("name", "==", "Foo*"), `name == "Foo*"`},
		"== where = is the same":    {`plan == "trial"`, trial, `plan = "trial"`},
		"== with a number":          {`seats == 5`, number("seats", "=", "5"), `seats = 5`},
		"== with nothing":           {`beta == "" AND language == ""`, node("AND", node("NOT", beta), compare("language", "=", "")), `NOT (beta:*) AND language = ""`},
		"== with a language":        {`language == "DE"`, compare("language", "==", "de"), `language == "de"`},
		"zones of a continent":      {`time_zone = "Europe/*"`, compare("time_zone", "=", "Europe/*"), `time_zone = "Europe/*"`},
		"a list":                    {`server IN ("mx2", "mx1" ,"mx2")`, list("server", "mx1", "mx2"), `server IN ("mx1", "mx2")`},
		"a list without blanks":     {`server IN("mx1","mx2")OR beta:*`, node("OR", list("server", "mx1", "mx2"), beta), `server IN ("mx1", "mx2") OR beta:*`},
		"not in a list":             {`server NOT IN ('mx1') AND beta:*`, node("AND", node("NOT", list("server", "mx1")), beta), `NOT (server IN ("mx1")) AND beta:*`},
		"NOT before a list":         {`NOT server IN ("mx1")`, node("NOT", list("server", "mx1")), `NOT (server IN ("mx1"))`},
		"a list of ids":             {`id IN ("00123", "7")`, list("id", "00123", "7"), `id IN ("00123", "7")`},
		"a list of languages":       {`language IN ("nl_BE", "de")`, list("language", "de", "nl-BE"), `language IN ("de", "nl-BE")`},
		"a list of numbers":         {`seats IN (10, -1.5)`, numbers("seats", "-1.5", "10"), `seats IN (-1.5, 10)`},
		"a list in parentheses":     {`(attributes.server IN ("mx1")) AND beta:*`, node("AND", list("server", "mx1"), beta), `server IN ("mx1") AND beta:*`},
		"an attribute named IN":     {`IN = "x" AND IN IN ("y")`, node("AND", compare("IN", "=", "x"), list("IN", "y")), `attributes.IN = "x" AND attributes.IN IN ("y")`},
		"the order of ids":          {`id >= 1000`, number("id", ">=", "1000"), `id >= 1000`},
		"the order of dates":        {`since < "2026-11-09"`, compare("since", "<", "2026-11-09"), `since < "2026-11-09"`},
		"an integer":                {`seats > 10`, number("seats", ">", "10"), `seats > 10`},
		"a negative fraction":       {`balance<-1.50`, number("balance", "<", "-1.50"), `balance < -1.50`},
		"many digits":               {`x = 123456789012345678.123456789012345678`, number("x", "=", "123456789012345678.123456789012345678"), `x = 123456789012345678.123456789012345678`},
		"a quoted number is text":   {`id = "00123"`, compare("id", "=", "00123"), `id = "00123"`},
		"escapes":                   {`name = "a \"b\" \\ c"`, compare("name", "=", `a "b" \ c`), `name = "a \"b\" \\ c"`},
		"single quotes":             {`name = 'O"Brien'`, compare("name", "=", `O"Brien`), `name = "O\"Brien"`},
		"and":                       {`server = "s639" AND plan = "trial"`, node("AND", server, trial), `server = "s639" AND plan = "trial"`},
		"or binds tighter than and": {`server = "s639" AND plan = "trial" OR beta:*`, node("AND", server, node("OR", trial, beta)), `server = "s639" AND (plan = "trial" OR beta:*)`},
		"or first":                  {`plan = "trial" OR beta:* AND server = "s639"`, node("AND", node("OR", trial, beta), server), `(plan = "trial" OR beta:*) AND server = "s639"`},
		"parentheses win":           {`(server = "s639" AND plan = "trial") OR beta:*`, node("OR", node("AND", server, trial), beta), `(server = "s639" AND plan = "trial") OR beta:*`},
		"runs are flat":             {`(beta:* OR plan="trial") OR (server="s639" OR beta:*)`, node("OR", beta, trial, server, beta), `beta:* OR plan = "trial" OR server = "s639" OR beta:*`},
		"not":                       {`NOT plan = "trial"`, node("NOT", trial), `NOT (plan = "trial")`},
		"minus":                     {`-plan = "trial"`, node("NOT", trial), `NOT (plan = "trial")`},
		"minus and a blank":         {`- beta:*`, node("NOT", beta), `NOT (beta:*)`},
		"minus and parentheses":     {`-(plan = "trial" OR beta:*)`, node("NOT", node("OR", trial, beta)), `NOT (plan = "trial" OR beta:*)`},
		"a double negative":         {`NOT (NOT beta:*)`, node("NOT", node("NOT", beta)), `NOT (NOT (beta:*))`},
		"blanks in parentheses":     {`( beta:* AND ( plan = "trial" ) )`, node("AND", beta, trial), `beta:* AND plan = "trial"`},
		"no blanks at parentheses":  {`NOT(beta:*)AND(plan="trial")OR(server="s639")`, node("AND", node("NOT", beta), node("OR", trial, server)), `NOT (beta:*) AND (plan = "trial" OR server = "s639")`},
		"several lines":             {"server = \"s639\"\n  AND\r\n\tplan = \"trial\"\n", node("AND", server, trial), `server = "s639" AND plan = "trial"`},
		"absent":                    {`beta = ""`, node("NOT", beta), `NOT (beta:*)`},
		"not absent":                {`beta != ""`, beta, `beta:*`},
		"no language":               {`language = ""`, compare("language", "=", ""), `language = ""`},
		"a language is canonical":   {`language = "de_ch"`, compare("language", "=", "de-CH"), `language = "de-CH"`},
		"a deprecated language":     {`language != "iw"`, compare("language", "!=", "he"), `language != "he"`},
		"a part of a zone":          {`time_zone:"Europe/"`, compare("time_zone", ":", "Europe/"), `time_zone:"Europe/"`},
		"a zone":                    {`time_zone = "Europe/Amsterdam"`, compare("time_zone", "=", "Europe/Amsterdam"), `time_zone = "Europe/Amsterdam"`},
		"letters beyond ASCII":      {`city = "Zürich"`, compare("city", "=", "Zürich"), `city = "Zürich"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseFilter(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if form := Format(got); form != c.form {
				t.Errorf("got %s, want %s", form, c.form)
			}
		})
	}
}

func TestParseFilterRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, at, want string }{
		"a bare number for an id":       {`id = 123`, "1, column 6", `id is text: write it in quotes, like id = "123"`},
		"an octal":                      {`id = 00123`, "1, column 6", "without zeros in front"},
		"an octal for an attribute":     {`seats = 010`, "1, column 9", "without zeros in front"},
		"a bare number for a name":      {`name = 1.5`, "1, column 8", `name = "1.5"`},
		"a bare number for a language":  {`language = 1`, "1, column 12", "language is text"},
		"a bare number for a zone":      {`time_zone < 1`, "1, column 13", "time_zone is text"},
		"a hexadecimal":                 {`seats = 0x10`, "1, column 9", "in quotes"},
		"an exponent":                   {`seats = 1e5`, "1, column 9", "in quotes"},
		"too many digits":               {`seats > 99999999999999999999`, "1, column 9", "18 digits"},
		"a number like a date":          {`since > 2026-11-09`, "1, column 9", "in quotes"},
		"a number to be contained":      {`plan:5`, "1, column 6", `plan:"5"`},
		"lower-case and":                {`server = "s639" and plan = "trial"`, "1, column 17", "write AND in capitals"},
		"lower-case or":                 {`beta:* or beta:*`, "1, column 8", "write OR in capitals"},
		"lower-case not":                {`not beta:*`, "1, column 1", "write NOT in capitals"},
		"&&":                            {`beta:* && beta:*`, "1, column 8", "write AND and OR"},
		"|| without blanks":             {`beta:x||beta:y`, "1, column 6", "in quotes"},
		"!":                             {`!beta:*`, "1, column 1", "write NOT"},
		"===":                           {`plan === "trial"`, "1, column 8", "two operators"},
		"!==":                           {`plan !== "trial"`, "1, column 8", "NOT and =="},
		"a quoted numeral":              {`seats > "9"`, "1, column 9", "leave the quotes out to compare numbers, like seats > 9"},
		"a quoted numeral for an id":    {`id <= '100'`, "1, column 7", "like id <= 100"},
		"a grouped numeral":             {`seats >= "1,000"`, "1, column 10", "leave the quotes out"},
		"a numeral in other digits":     {`seats < "٩"`, "1, column 9", "leave the quotes out"},
		"a numeral with blanks":         {`seats < " -9.50 "`, "1, column 9", "leave the quotes out"},
		"a numeral with an exponent":    {`seats < "1e3"`, "1, column 9", "leave the quotes out"},
		"a share":                       {`load < "90 %"`, "1, column 8", "leave the quotes out"},
		"a star in an order":            {`plan < "b*"`, "1, column 8", "behind = and != alone"},
		"a star in a part":              {`name:"bak*"`, "1, column 6", `write name = "bak*"`},
		"a star in a language":          {`language = "de*"`, "1, column 12", `leave the * out`},
		"a star in a list":              {`plan IN ("a", "*")`, "1, column 15", "write plan:*"},
		"an empty list":                 {`plan IN ()`, "1, column 10", "a value is missing"},
		"a list that ends in a comma":   {`plan IN ("a",)`, "1, column 14", "a value is missing"},
		"a list without a comma":        {`plan IN ("a" "b")`, "1, column 14", "write a comma"},
		"a list that never ends":        {`plan IN ("a", "b"`, "1, column 9", "never closed"},
		"a list without quotes":         {`plan IN (trial, "b")`, "1, column 10", "in quotes"},
		"a list of both":                {`plan IN ("a", 5)`, "1, column 15", "not of both"},
		"a list of numbers for an id":   {`id IN (1, 2)`, "1, column 8", "id is text"},
		"a list with a bad escape":      {`plan IN ("a", "\q")`, "1, column 15", "escape"},
		"a list with no language":       {`language IN ("de", "klingonese")`, "1, column 20", "no language"},
		"a list in lower case":          {`plan in ("a")`, "1, column 1", "IN or NOT IN in capitals"},
		"a list not in lower case":      {`plan not in ("a")`, "1, column 1", "IN or NOT IN in capitals"},
		"IN without a list":             {`plan IN "a"`, "1, column 1", "a list behind it"},
		"a file":                        {`server IN @servers.txt`, "1, column 11", "beside notice.yaml"},
		"<>":                            {`plan <> "trial"`, "1, column 7", "!="},
		"=>":                            {`plan => "trial"`, "1, column 7", "two operators"},
		"a bare word":                   {`trial`, "1, column 1", "a word alone"},
		"a bare word after a condition": {`beta:* trial`, "1, column 8", "a word alone"},
		"a bare text":                   {`"trial"`, "1, column 1", "a condition needs"},
		"a bare number":                 {`42`, "1, column 1", "a condition needs"},
		"a bare negative":               {`-42`, "1, column 2", "a condition needs"},
		"nothing between conditions":    {`beta:* plan = "trial"`, "1, column 8", "write AND or OR between"},
		"nothing between parentheses":   {`(beta:*)(beta:*)`, "1, column 9", "( makes no sense here"},
		"a function":                    {`lower(name) = "x"`, "1, column 1", "no functions"},
		"a function as value":           {`name = lower("x")`, "1, column 8", "in quotes"},
		"an unquoted value":             {`plan = trial`, "1, column 8", "in quotes"},
		"field to field":                {`name = id`, "1, column 8", "names are compared with values only"},
		"field to attribute":            {`name = attributes.plan`, "1, column 8", "names are compared with values only"},
		"a value with dots":             {`server = s639.example.net`, "1, column 10", "in quotes"},
		"a value with a hyphen":         {`plan:pro-plus`, "1, column 6", "in quotes"},
		"a text with a dot behind":      {`plan = "a".b`, "1, column 8", "with a text in quotes or with a number"},
		"a minus before NOT":            {`-NOT beta:*`, "1, column 2", "NOT makes no sense here"},
		"a list of values":              {`plan = ("a" OR "b")`, "1, column 8", "write a list with IN"},
		"a comma":                       {`plan = "a", plan = "b"`, "1, column 11", "a list stands behind IN"},
		"a quoted name":                 {`"plan" = "trial"`, "1, column 1", "without quotes"},
		"a number on the left":          {`5 < seats`, "1, column 5", "in quotes"},
		"a number on both sides":        {`5 < 6`, "1, column 1", "starts with a name"},
		"a dotted name":                 {`customer.plan = "x"`, "1, column 1", "only attributes"},
		"a deep name":                   {`attributes.a.b = "x"`, "1, column 1", "only attributes"},
		"attributes alone":              {`attributes:plan`, "1, column 1", "name the attribute"},
		"an address":                    {`email:"example.com"`, "1, column 1", "not chosen by address"},
		"a name with a letter too odd":  {`größe = "x"`, "1, column 1", "this is no name"},
		"a quoted name too odd":         {`attributes."a b" = "x"`, "1, column 1", "this is no name"},
		"a quoted star":                 {`plan:"*"`, "1, column 6", "without quotes"},
		"a quoted nothing":              {`plan:""`, "1, column 6", "write plan:*"},
		"curly quotes":                  {`plan = “trial”`, "1, column 8", "straight quotes"},
		"a curly word":                  {`“trial” = plan`, "1, column 1", "straight quotes"},
		"an open quote":                 {`plan = "trial`, "1, column 8", "never closed"},
		"an unknown escape":             {`plan = "a\q"`, "1, column 8", "escape"},
		"a control character":           {`plan = "a\nb"`, "1, column 8", "control character"},
		"an open parenthesis":           {`beta:* AND (beta:*`, "1, column 12", "never closed"},
		"a closing parenthesis":         {`beta:*)`, "1, column 7", "closes none"},
		"empty parentheses":             {`()`, "1, column 2", ") makes no sense here"},
		"a missing value":               {`plan =`, "1, column 6", "a value is missing after ="},
		"a missing value inside":        {`(plan = ) AND beta:*`, "1, column 9", "a value is missing"},
		"a missing value before AND":    {`plan = AND beta:*`, "1, column 8", "a value is missing"},
		"a missing name":                {`= "trial"`, "1, column 1", "= makes no sense here"},
		"AND at the end":                {`beta:* AND`, "1, column 8", "missing after AND"},
		"AND at the start":              {`AND beta:*`, "1, column 1", "missing before AND"},
		"OR OR":                         {`beta:* OR OR beta:*`, "1, column 8", "missing after OR"},
		"NOT alone":                     {`NOT`, "1, column 1", "missing after NOT"},
		"NOT NOT":                       {`NOT NOT beta:*`, "1, column 1", "double negative"},
		"a keyword for a name":          {`OR = "x"`, "1, column 1", "attributes.OR"},
		"a second line":                 {"beta:*\n  AND größe = \"x\"", "2, column 7", "this is no name"},
		"an unknown language":           {`language = "klingonese"`, "1, column 12", "no language"},
		"a zone in the wrong case":      {`time_zone = "europe/amsterdam"`, "1, column 13", "did you mean Europe/Amsterdam?"},
		"invalid UTF-8":                 {"plan = \"\xff\"", "1, column 9", "not UTF-8"},
		"51 levels":                     {strings.Repeat("(", 51) + "beta:*" + strings.Repeat(")", 51), "1, column 51", "50 levels"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := ParseFilter(c.text)
			e, ok := errors.AsType[*notice.Error](err)
			if !ok {
				t.Fatalf("got %s, %v", Format(f), err)
			}
			if c.want == "no language" {
				c.want = notALanguage
			}
			if e.Field != "audience" || !strings.HasPrefix(e.Message, "line "+c.at+": ") || !strings.Contains(e.Message, c.want) {
				t.Errorf("got %v\nwant line %s: … %s", e, c.at, c.want)
			}
		})
	}
}

func TestParseFilterShowsThePlace(t *testing.T) {
	t.Parallel()
	_, err := ParseFilter("beta:* AND\n\tcity = \"Zürich\" and beta:*")
	want := "audience: line 2, column 18: write AND in capitals\n" +
		"   city = \"Zürich\" and beta:*\n" +
		"                   ^"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	_, err = ParseFilter(strings.Repeat(`beta:* OR `, 30) + `trial OR ` + strings.Repeat(`beta:* OR `, 30) + `beta:*`)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1][len(lines[2])-1:], "trial") || len(lines[1]) > 102 {
		t.Errorf("a long line is shown as\n%v", err)
	}
}

func TestParseFilterBoundsItsInput(t *testing.T) {
	t.Parallel()
	within := strings.Repeat("(", 50) + "beta:*" + strings.Repeat(")", 50)
	if _, err := ParseFilter(within); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"long":              strings.Repeat("beta:* OR ", maxComparisons) + "beta:*",
		"longer":            strings.Repeat(" ", maxText+1),
		"deep when written": strings.Repeat("-(", 50) + "a:b OR a:c AND a:d" + strings.Repeat(")", 50),
	} {
		if _, err := ParseFilter(text); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckAttributes(t *testing.T) {
	t.Parallel()
	known := []string{"plan", "server", "region", "seats"}
	var many []string
	for i := range 12 {
		many = append(many, fmt.Sprintf("attribute_%02d", i))
	}
	for name, c := range map[string]struct {
		text  string
		known []string
		want  string
	}{
		"known ones":           {`server = "s639" AND name:"x" OR plan:*`, known, ""},
		"a typing error":       {`server = "s639" AND paln != "trial"`, known, `line 1, column 21: no customer has the attribute paln; did you mean plan?`},
		"another case":         {`Server = "s639"`, known, ""},
		"a column misspelt":    {`timezone = "UTC"`, known, "did you mean time_zone?"},
		"the qualified place":  {`attributes.sever = "plan"`, known, "line 1, column 12"},
		"nothing near":         {`flavour = "x"`, known, "the attributes are plan, region, seats, server"},
		"nothing near of many": {`flavour = "x"`, many, "attribute_08, attribute_09 and more"},
		"no attributes":        {`flavour = "x"`, nil, "no customer has an attribute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := ParseFilter(c.text)
			if err != nil {
				t.Fatal(err)
			}
			err = CheckAttributes(c.text, f, c.known)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e, ok := errors.AsType[*notice.Error](err)
			if !ok || e.Field != "audience" || !strings.Contains(e.Message, c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if err := CheckAttributes("", f, c.known); err == nil || strings.Contains(err.Error(), "column") {
				t.Errorf("without the text: %v", err)
			}
		})
	}
}
