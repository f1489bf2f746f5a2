#pragma once

namespace k3saga::service {

// Gives back what starting up and the last operation left behind: free heap, and pages of code and constants
// that were read once. They are in the page cache and come back one by one when they are used again.
// Thread-safe; takes a few milliseconds.
void GiveMemoryBack();

}  // namespace k3saga::service
