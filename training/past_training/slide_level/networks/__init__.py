"""Networks from bags to outputs: poolings behind one interface, heads, losses. Tensors only."""
