package faultmodule

// Answer is what C_GetAttributeValue says about one attribute of the objects of
// one class.
type Answer struct {
	kind, attribute, class, rv Cell
	value                      Text
}

// The kinds of answers, as in shim/shim.h.
const (
	withheld = iota + 1
	replaced
	unwrapped
)

// Withhold makes the attribute of the class unavailable: the call returns rv.
func (s *Script) Withhold(class, attribute, rv uint) { s.answer(withheld, class, attribute, rv, "") }

// Replace makes the attribute of the class have the value. A search for that
// value finds every object that matches the rest of the template, so that the
// token should have one object of the class.
func (s *Script) Replace(class, attribute uint, value string) {
	s.answer(replaced, class, attribute, 0, value)
}

// Unwrap makes the module return what is inside the DER of the attribute.
func (s *Script) Unwrap(class, attribute uint) { s.answer(unwrapped, class, attribute, 0, "") }

// answer takes the place of the same attribute, or a free one.
func (s *Script) answer(kind uint64, class, attribute, rv uint, value string) {
	for i := range s.Answers {
		a := &s.Answers[i]
		mine := a.class.Load() == uint64(class) && a.attribute.Load() == uint64(attribute)
		if a.kind.Load() != 0 && !mine {
			continue
		}
		a.kind.Store(0)
		a.class.Store(uint64(class))
		a.attribute.Store(uint64(attribute))
		a.rv.Store(uint64(rv))
		a.value.Set(value)
		a.kind.Store(kind)
		return
	}
	panic("faultmodule: more answers than a script holds")
}

// Truthful takes the answers back.
func (s *Script) Truthful() {
	for i := range s.Answers {
		s.Answers[i].kind.Store(0)
	}
}

// Hide makes searches not find objects of the class.
func (s *Script) Hide(class uint) { s.HiddenClasses.Or(1 << class) }

// Hole takes a function out of the list. It has to come before the module is
// loaded.
func (s *Script) Hole(f Function) { s.Holes.Or(1 << f) }

// Die ends all sessions and the login, as a device does that restarts.
func (s *Script) Die() { s.Deaths.Add(1) }

// Remove takes the token out of its slot. Its sessions are gone.
func (s *Script) Remove() {
	s.Removed.Store(1)
	s.Die()
}

// Insert puts the token back, into a slot whose id is by shift higher than it
// ever was.
func (s *Script) Insert(shift uint64) {
	s.SlotShift.Add(shift)
	s.Removed.Store(0)
}

// CountPINs makes the token count wrong PINs and lock at the limit.
func (s *Script) CountPINs(pin string, limit uint64) {
	s.PIN.Set(pin)
	s.Tries.Store(limit)
}
