extension JSON {
    /// The first member, going down into objects, that `other` has and this does not have alike; nil if there is none.
    /// Members that only this one has do not count.
    package func difference(from other: JSON) -> (key: String, found: String, wanted: String)? {
        for (key, wanted) in other.object ?? JSONObject() {
            let found = self[key] ?? .null
            if found.object != nil, wanted.object != nil {
                if let inner = found.difference(from: wanted) { return inner }
            } else if found.serialized() != wanted.serialized() {
                return (key, found.serialized(), wanted.serialized())
            }
        }
        return nil
    }
}
