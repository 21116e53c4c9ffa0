package faultmodule

import (
	"math"
	"sync/atomic"
	"time"
)

// Cell is a number that the test and the module share. Zero means no fault.
type Cell = atomic.Uint64

// Script is what a module does wrong, and what it counts. shim/shim.h has the
// same layout.
type Script struct {
	Calls   [68]Call // by Function
	Answers [16]Answer

	// Counters of sessions: open now and at most, opened so far, closed by
	// the user, ended by a fault; and how often two calls were in one session
	// at the same time, which no user of a module may do.
	Open, Most, Opened, Closed, Died, Overlaps Cell

	Signatures                Cell // that were made
	UserLogins, ContextLogins Cell // calls of C_Login that reached the token, by user type
	EmptyPINs                 Cell // of them, those without a PIN
	Mistakes                  Cell // wrong PINs since the last right one, see Tries
	InitFlags                 Cell // the flags that C_Initialize got

	Deaths    Cell // is raised to end all sessions and the login at once
	Logouts   Cell // is raised to log out, as another user of the token does
	Removed   Cell // 1: the token is not in its slot; use Remove and Insert
	SlotShift Cell // is added to every slot id

	SessionLimit    Cell // the most sessions; one more is CKR_SESSION_COUNT
	RefuseReadOnly  Cell // the answer to C_OpenSession for a read-only session
	RefuseReadWrite Cell // and for a read-write one

	SetFlags, ClearFlags Cell // of the token
	MaxSessions          Cell // what the token says about its sessions
	NULPadded            Cell // 1: the token's label and serial are padded with NUL
	SilentRV             Cell // the answer to C_GetTokenInfo for tokens with the label Silent, or for all

	Tries     Cell // the token counts wrong PINs, sets its flags and is locked at this number; PIN is the right one
	PINPad    Cell // 1: the token has a protected authentication path, where somebody enters PIN
	LoginFree Cell // 1: the token needs no login and fails when one is tried; PIN opens it behind the scenes

	HiddenClasses Cell // objects that are not found, a bit for each class
	Corrupt       Cell // so many signatures are wrong
	Shorten       Cell // so many signatures lack a byte
	NoList        Cell // 1: C_GetFunctionList succeeds without a list
	Holes         Cell // functions that the list lacks, a bit for each

	PIN         Text // as Tries, PINPad and LoginFree say
	Silent      Text // a token's label, see SilentRV
	InitArgs    Text // what C_Initialize got as its reserved argument
	Description Text // the library's description instead of its own

	store Text // the file that shims lock while they use the real module's files
}

// Function is the place of a function in the function list.
type Function int

// The functions that a script can make fail. Others of the list return
// CKR_FUNCTION_NOT_SUPPORTED.
const (
	Initialize        Function = 0
	Finalize          Function = 1
	GetInfo           Function = 2
	GetFunctionList   Function = 3
	GetSlotList       Function = 4
	GetSlotInfo       Function = 5
	GetTokenInfo      Function = 6
	GetMechanismList  Function = 7
	GetMechanismInfo  Function = 8
	OpenSession       Function = 12
	CloseSession      Function = 13
	CloseAllSessions  Function = 14
	GetSessionInfo    Function = 15
	Login             Function = 18
	Logout            Function = 19
	CreateObject      Function = 20
	DestroyObject     Function = 22
	GetAttributeValue Function = 24
	SetAttributeValue Function = 25
	FindObjectsInit   Function = 26
	FindObjects       Function = 27
	FindObjectsFinal  Function = 28
	SignInit          Function = 42
	Sign              Function = 43 // the binding calls it twice, for the size and for the signature
	GenerateKeyPair   Function = 59
)

// Call is what happens to one function.
type Call struct {
	Count Cell // the calls so far

	Skip, Times, RV Cell // after Skip good calls, so many return RV
	Delay           Cell // microseconds before each call
	Hold            Cell // 1: calls wait until it is 0
	Held            Cell // the calls that wait now
}

// Always is a number of times without end.
const Always = math.MaxUint64

// Fail makes the next calls return rv. CKR_SESSION_HANDLE_INVALID and
// CKR_SESSION_CLOSED end the session of the call as well.
func (c *Call) Fail(rv uint, times uint64) { c.FailAfter(0, rv, times) }

// FailAfter lets so many calls pass first.
func (c *Call) FailAfter(skip uint64, rv uint, times uint64) {
	c.Times.Store(0)
	c.Skip.Store(skip)
	c.RV.Store(uint64(rv))
	c.Times.Store(times)
}

// Wait returns once n calls are held, and reports whether that was in time.
func (c *Call) Wait(n uint64, most time.Duration) bool {
	for end := time.Now().Add(most); c.Held.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Text is a text that the test and the module share.
type Text struct {
	size  Cell
	bytes [256]byte
}

// Set replaces the text; what does not fit is cut off.
func (t *Text) Set(s string) {
	t.size.Store(0)
	t.size.Store(uint64(copy(t.bytes[:], s)))
}

// String returns the text.
func (t *Text) String() string { return string(t.bytes[:t.size.Load()]) }
