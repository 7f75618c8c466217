//! What the trees and the index say of each other.
