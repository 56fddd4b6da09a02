package notice

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAForecastGoesByTheTightestLimit(t *testing.T) {
	t.Parallel()
	begins := time.Date(2026, 11, 9, 21, 0, 0, 0, time.UTC)
	at := func(minutes int) *time.Time { end := begins.Add(time.Duration(minutes) * time.Minute); return &end }
	domains := map[string]int{"gmail.com": 3000, "b.example": 2000}
	for name, tt := range map[string]struct {
		c    Capacity
		want Forecast
	}{
		"no worker":                 {Capacity{WorkerRate: 100}, Forecast{Begins: begins, Why: ForecastNoWorker}},
		"workers":                   {Capacity{Workers: 1, WorkerRate: 100}, Forecast{Begins: begins, Last: at(1), RatePerS: 100, Why: ForecastWorkers}},
		"relays":                    {Capacity{Workers: 2, WorkerRate: 100, RelayRate: 50}, Forecast{Begins: begins, Last: at(2), RatePerS: 50, Why: ForecastRelays}},
		"a domain":                  {Capacity{Workers: 2, WorkerRate: 100, Limits: []DomainLimit{{Domain: "gmail.com", RatePerS: 10}, {Domain: "b.example", RatePerS: 10}}}, Forecast{Begins: begins, Last: at(5), RatePerS: 20, Why: ForecastDomain, Domain: "gmail.com"}},
		"the lower of two":          {Capacity{Workers: 2, WorkerRate: 100, Limits: []DomainLimit{{Domain: "gmail.com", RatePerS: 10}, {Domain: "gmail.com", RatePerS: 5}}}, Forecast{Begins: begins, Last: at(10), RatePerS: 10, Why: ForecastDomain, Domain: "gmail.com"}},
		"one that is not in force":  {Capacity{Workers: 1, WorkerRate: 100, Limits: []DomainLimit{{Domain: "gmail.com", RatePerS: 1, Overridden: []string{"rate"}}}}, Forecast{Begins: begins, Last: at(1), RatePerS: 100, Why: ForecastWorkers}},
		"a domain that none has":    {Capacity{Workers: 1, WorkerRate: 100, Limits: []DomainLimit{{Domain: "c.example", RatePerS: .001}}}, Forecast{Begins: begins, Last: at(1), RatePerS: 100, Why: ForecastWorkers}},
		"quotas":                    {Capacity{Workers: 1, WorkerRate: 100, Quotas: []Quota{{PerDay: 2000, Used: 1000}, {PerDay: 1000, Used: 1000}}}, Forecast{Begins: begins, Last: at(2 * 24 * 60), RatePerS: .035, Why: ForecastQuota}},
		"quotas with room":          {Capacity{Workers: 1, WorkerRate: 100, Quotas: []Quota{{PerDay: 20000}}}, Forecast{Begins: begins, Last: at(1), RatePerS: 100, Why: ForecastWorkers}},
		"a hold at the beginning":   {Capacity{Workers: 1, WorkerRate: 100, Holds: []Hold{{From: *at(-10), Until: at(30)}}}, Forecast{Begins: *at(30), Last: at(31), RatePerS: 100, Why: ForecastWorkers}},
		"one on the way":            {Capacity{Workers: 1, WorkerRate: 50, Holds: []Hold{{From: *at(1), Until: at(31)}, {From: *at(60), Until: at(90)}}}, Forecast{Begins: begins, Last: at(32), RatePerS: 50, Why: ForecastWorkers}},
		"two that follow":           {Capacity{Workers: 1, WorkerRate: 100, Holds: []Hold{{From: *at(30), Until: at(60)}, {From: *at(-5), Until: at(30)}}}, Forecast{Begins: *at(60), Last: at(61), RatePerS: 100, Why: ForecastWorkers}},
		"one without an end":        {Capacity{Workers: 1, WorkerRate: 100, Holds: []Hold{{From: *at(-5)}}}, Forecast{Begins: begins, RatePerS: 100, Why: ForecastHold}},
		"one that is over, and one": {Capacity{Workers: 1, WorkerRate: 100, Holds: []Hold{{From: *at(-5), Until: at(-1)}, {From: *at(2), Until: at(9)}}}, Forecast{Begins: begins, Last: at(1), RatePerS: 100, Why: ForecastWorkers}},
	} {
		if diff := cmp.Diff(tt.want, tt.c.Forecast(begins, 6000, domains)); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
}

func TestTheLargestDomainsComeFirst(t *testing.T) {
	t.Parallel()
	domains := map[string]int{}
	for i := range MostDomains + 2 {
		domains[fmt.Sprintf("d%02d.example", i)] = 10 + i
	}
	got := LargestDomains(domains, 5)
	if len(got) != MostDomains+1 || got[0] != (DomainCount{Domain: "d51.example", Recipients: 61}) || got[MostDomains] != (DomainCount{Domains: 2, Recipients: 10 + 11 + 5}) {
		t.Errorf("%+v", got)
	}
	if got := LargestDomains(map[string]int{"a.example": 1}, 0); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}
