"""What a measurement leaves: records, tables, pictures."""
