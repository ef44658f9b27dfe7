/// This release of lvo: the package, the program and what both write.
public enum Release {
    /// The version of the package, by semantic versioning; its git tag is the same. Pictures and records carry it.
    public static let version = "0.2.0"
}
