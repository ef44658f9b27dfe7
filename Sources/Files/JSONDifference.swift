extension JSON {
    /// The first member, going down into objects, that is not alike in both; nil if there is none.
    package func difference(from other: JSON) -> (key: String, found: String, wanted: String)? {
        for (key, wanted) in other.object ?? JSONObject() {
            let found = self[key] ?? .null
            if found.object != nil, wanted.object != nil {
                if let inner = found.difference(from: wanted) { return inner }
            } else if found.serialized() != wanted.serialized() {
                return (key, found.serialized(), wanted.serialized())
            }
        }
        for (key, found) in object ?? JSONObject() where other[key] == nil { return (key, found.serialized(), "null") }
        return nil
    }
}
