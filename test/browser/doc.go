// Package browser opens the pages as people do: in Chromium, on a phone
// and on a desktop, in both languages, light and dark, by mouse and by
// keyboard. The pages are those of the real binary.
//
// Run it with make e2e-browser; the tests have the build tag e2e. What was
// seen is kept in screenshots/.
package browser
