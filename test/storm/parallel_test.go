package storm

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
)

// wide is how many cases run at a time. They mostly sleep.
const wide = 24

// each runs f for each case as a subtest, several at a time.
func each[C fmt.Stringer](t *testing.T, wide int, cases []C, f func(t *testing.T, c C)) {
	slots := make(chan struct{}, wide)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, c := range cases {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			t.Run(c.String(), func(t *testing.T) { f(t, c) })
		})
	}
}

// trials is how often what depends on chance is tried.
func trials(t *testing.T) int {
	text := os.Getenv("SIGNGATE_SOAK")
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SIGNGATE_SOAK=%q is no number of trials", text)
	}
	return n
}
