package fault

import "testing"

func TestASumTellsTextsApartByTheirPlaces(t *testing.T) {
	texts := func(all ...string) Sum {
		var bytes [][]byte
		for _, text := range all {
			bytes = append(bytes, []byte(text))
		}
		return SumOf(bytes...)
	}
	if once, again := texts("ca", "cert", ""), texts("ca", "cert", ""); once != again {
		t.Error("the same texts have two sums")
	}
	seen := map[Sum][]string{}
	for _, all := range [][]string{{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"", "abc"}, {"abc", ""}, {"c", "ab"}} {
		sum := texts(all...)
		if other, twice := seen[sum]; twice {
			t.Errorf("%q and %q have one sum", all, other)
		}
		seen[sum] = all
	}
}
