package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

func TestOutcomeOf(t *testing.T) {
	refused := fault.Refusedf("tag_moved", "look", "it moved")
	for name, tc := range map[string]struct {
		err     error
		outcome fault.Outcome
		code    string
	}{
		"nothing":        {nil, fault.Passed, "internal"},
		"a fault":        {refused, fault.Refused, "tag_moved"},
		"a wrapped one":  {fmt.Errorf("while: %w", refused), fault.Refused, "tag_moved"},
		"the outer wins": {fault.Undecidedf("timeout", "", "late: %w", refused), fault.Undecided, "timeout"},
		"anything else":  {io.EOF, fault.Undecided, "internal"},
	} {
		if fault.OutcomeOf(tc.err) != tc.outcome || fault.CodeOf(tc.err) != tc.code {
			t.Errorf("%s: %v %s; want %v %s", name, fault.OutcomeOf(tc.err), fault.CodeOf(tc.err), tc.outcome, tc.code)
		}
	}
	if refused.Error() != "it moved; look" {
		t.Errorf("%q", refused)
	}
	if err := fault.Configf("x", "", "reading: %w", io.EOF); !errors.Is(err, io.EOF) {
		t.Error("the cause is lost")
	}
}

// TestWorst: of several images, a refusal counts more than an unknown.
func TestWorst(t *testing.T) {
	for _, tc := range []struct {
		want fault.Outcome
		of   []fault.Outcome
	}{
		{fault.Passed, nil},
		{fault.Undecided, []fault.Outcome{fault.Passed, fault.Undecided}},
		{fault.Refused, []fault.Outcome{fault.Undecided, fault.Refused, fault.Passed}},
		{fault.Config, []fault.Outcome{fault.Refused, fault.Config}},
	} {
		if got := fault.Worst(tc.of...); got != tc.want {
			t.Errorf("Worst(%v) = %v, want %v", tc.of, got, tc.want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"trusted-keys", "trusted-keys-sha256", "timeout", "threshold"}
	for in, want := range map[string]string{"trusted-key": "trusted-keys", "treshold": "threshold", "time-out": "timeout", "threshold": "threshold"} {
		if got, _ := fault.Nearest(in, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}
