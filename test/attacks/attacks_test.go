package attacks

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAttacks puts each case before the three surfaces.
func TestAttacks(t *testing.T) {
	for name, a := range load(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			surfaces := map[string]func(*testing.T, *scene) result{"verify": runProgram, "action": runAction}
			if a.Beyond == "" {
				surfaces["gate"] = runGate
			}
			for _, surface := range slices.Sorted(maps.Keys(surfaces)) {
				s := build(t, a)
				got := surfaces[surface](t, s)
				s.check(t, surface, got)
			}
		})
	}
}

// TestREADME: each case says what it is about, and the list of all has it.
func TestREADME(t *testing.T) {
	list, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range load(t) {
		text, err := os.ReadFile(filepath.Join(name, "README.md"))
		if err != nil || len(strings.Fields(string(text))) < 10 {
			t.Errorf("%s: its README.md is missing or says too little: %v", name, err)
		}
		if !strings.Contains(string(list), "("+name+"/)") {
			t.Errorf("README.md does not list %s", name)
		}
	}
}
