package fault

import "testing"

func TestSumDependsOnOrderAndBoundaries(t *testing.T) {
	texts := func(all ...string) Sum {
		var bytes [][]byte
		for _, text := range all {
			bytes = append(bytes, []byte(text))
		}
		return SumOf(bytes...)
	}
	if once, again := texts("ca", "cert", ""), texts("ca", "cert", ""); once != again {
		t.Error("equal texts have different sums")
	}
	seen := map[Sum][]string{}
	for _, all := range [][]string{{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"", "abc"}, {"abc", ""}, {"c", "ab"}} {
		sum := texts(all...)
		if other, twice := seen[sum]; twice {
			t.Errorf("%q and %q have the same sum", all, other)
		}
		seen[sum] = all
	}
}
