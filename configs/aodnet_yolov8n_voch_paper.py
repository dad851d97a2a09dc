"""The paper's recipe on two folders of your own: VaT at full size, AdamW at 1e-4, batch 4, 50 epochs. For a GPU."""

restorer = dict(type="aodnet", weights="aodnet/dehazer.pth")
translator = dict(type="vat-24")
head = dict(type="yolo", weights="yolov8n.pt", classes=["person", "car", "bus", "bicycle", "motorcycle"])
degraded = dict(type="voc", root="voch", split="train")
clean = dict(type="voc", root="voc", split="train")
val = dict(type="voc", root="voch", split="test")
size = 640
optim = dict(steps=None, epochs=50, batch_size=4, lr=1e-4, warmup=0, schedule="constant", ema=0.0)
teacher = dict(epsilon=0.9)
# Equations 6 to 8 as printed: the cycle, one lambda for a step, terms on the mix that lambda, 1 - lambda and U weigh.
objective = dict(
    cycle=1.0, lambda_per="step", mix_power=1.0, uncertainty="paper", background="all", clean_through_gate=0.0
)
name = "aodnet_yolov8n_voch_paper"
